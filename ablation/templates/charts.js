"use strict";

// Puts a chart in the place of each figure that has one. The figure stays in the page: it is what is printed,
// what is shown without JavaScript, and what is shown if anything here fails. A chart is drawn when it comes
// into sight, so that a long page opens at once.
(() => {
  const source = document.getElementById("chart-data");
  if (!source || !("DecompressionStream" in window)) return;
  const data = JSON.parse(source.textContent);
  const { draw, padded, extent, FEW } = chartDrawings;
  const shown = new Set(data.variants.keys());
  const charts = [];
  const make = (tag, more = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), more);
    element.append(...children);
    return element;
  };

  const live = make("div", { className: "hidden-text", role: "status" });
  const rules = document.head.appendChild(make("style"));
  const dark = matchMedia("(prefers-color-scheme: dark)");

  // plotly.js is packed in the page, and unpacked once, when the first chart needs it.
  let library;
  async function unpack() {
    const packed = document.getElementById("chart-library").textContent.trim();
    const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = make("script", { textContent: await new Response(stream).text() });
    document.head.append(script);
    script.remove();
  }

  // The colours and the font of the page, looked up once, since each look makes the browser compute styles.
  let theme;
  function readTheme() {
    const [root, body] = [getComputedStyle(document.documentElement), getComputedStyle(document.body)];
    const names = ["ink", "soft", "line", "panel", "better", "worse", "equivalent", "unresolved"];
    const colours = Object.fromEntries(names.map((name) => [name, root.getPropertyValue(`--${name}`).trim()]));
    theme = { dark: dark.matches, font: body.fontFamily, colours: { ...colours, grid: colours.line } };
  }

  const canvas = make("canvas").getContext("2d");
  function textWidth(text) {
    canvas.font = `12px ${theme.font}`;
    return canvas.measureText(text).width;
  }

  // What a chart needs to know of the page and of the reader's choices.
  function viewOf(chart) {
    const width = chart.plot.clientWidth;
    return { ...theme, shown, width, textWidth, narrow: width < 640, choice: chart.choice };
  }

  async function show(chart) {
    try {
      await (library ??= unpack());
      const drawing = draw[chart.name](data, viewOf(chart));
      await Plotly.react(chart.drawn, drawing.traces, drawing.layout, { staticPlot: true, displayModeBar: false, typesetMath: false });
      chart.drawing = drawing;
      chart.reader.series = drawing.series;
      chart.isStale = false;
      chart.plot.classList.add("drawn");
    } catch (error) {
      console.error(error);
      restore();
    }
  }

  function restore() {
    for (const chart of charts) chart.element.remove();
    document.querySelector(".chart-bar")?.remove();
    for (const figure of document.querySelectorAll("figure")) figure.classList.remove("charted", "replaced");
  }

  // A variant is switched off by a rule of style, in all charts at once. What a rule cannot do is done for the
  // charts in sight: rows close up, names move, and an axis follows if the rest needs far less or more of it.
  function update() {
    const off = data.variants.map((_, k) => k).filter((k) => !shown.has(k));
    const hide = off.map((k) => `.chart [class*="trace-v${k}-"]`);
    if (shown.size > FEW) hide.push('.chart [class*="-band-"]');
    rules.textContent = hide.length ? `${hide.join(", ")} { display: none; }` : "";
    for (const chart of charts) {
      chart.isStale = true;
      chart.reader.hide();
      if (chart.isInSight) refresh(chart);
    }
  }

  function refresh(chart) {
    if (!chart.drawing || chart.drawing.isRedrawn) return show(chart);
    chart.isStale = false;
    const axes = chart.drawing.shared;
    const seen = chart.drawing.series.filter((one) => shown.has(one.variant));
    if (!axes || !seen.length) return undefined;
    const [low, high] = padded(extent(seen.flatMap((one) => one.span)));
    const [from, to] = chart.drawn._fullLayout.yaxis.range;
    const room = to - from;
    if (low > from - 0.02 * room && high < to + 0.02 * room && high - low > 0.7 * room) return undefined;
    for (const one of chart.drawing.series) delete one.pixels;
    return Plotly.relayout(chart.drawn, Object.fromEntries(axes.map((name) => [`${name}.range`, [low, high]])));
  }

  const choices = {
    measure: ["Measure", [["accuracy", "accuracy"], ["loss", "loss"]]],
    against: ["Against", [["epochs", "epochs"], ["seconds", "seconds"]]],
    lines: ["Lines", [["mean", "mean and 95% interval"], ["every", "every seed"]]],
    cost: ["Cost", Object.entries(data.cost?.costs ?? {})],
    one: ["Variant", (data.confusion?.variants ?? []).map((entry, k) => [k, entry.variant])],
    other: ["Compared with", [["", "nothing"], ...(data.confusion?.variants ?? []).map((entry, k) => [k, entry.variant])]],
  };
  const kinds = {
    forest: { choices: [], note: "Large marks: means with their intervals; ticks below: one per seed. Shaded: within the margin." },
    overfitting_gap: { choices: ["against", "lines"], note: "Training minus validation accuracy, in inference mode. Colours and dashes: the variants, as in the switches below. Bands, where up to 8 variants are shown: 95% intervals of the mean." },
    last_gap: {
      figure: "overfitting_gap", title: "Overfitting gap after the last epoch", choices: [],
      note: "Large marks: means with their 95% intervals; ticks below: one per seed.",
    },
    learning_curves: { choices: ["measure", "against", "lines"], note: "Measured after every epoch, in inference mode. Colours and dashes: the variants, as in the switches below. Bands, where up to 8 variants are shown: 95% intervals of the mean." },
    confusion: { title: "Confusion matrices", choices: ["one", "other"], note: "Of the test images of each true class (row), the percentage that is predicted as each class (column); compared with another variant, the difference in percentage points." },
    calibration: { choices: [], note: "On the diagonal, confidence equals accuracy; below it, a model is overconfident. The size of a mark grows with the number of predictions in its bin." },
    cost: { choices: ["cost"], note: "Bars: 95% intervals of the mean. Line: the Pareto front of all variants. Names, where up to 8 variants are shown." },
  };

  function select(chart, name) {
    const [label, options] = choices[name];
    const menu = make("select", { name }, ...options.map(([value, text]) => new Option(text, value)));
    chart.choice[name] = menu.value;
    menu.addEventListener("change", () => {
      chart.choice[name] = menu.value;
      show(chart);
    });
    return make("label", {}, `${label} `, menu);
  }

  function build(name, figures) {
    const figure = figures[0];
    const title = figure.querySelector(".enlarge").getAttribute("aria-label").replace("Enlarge: ", "");
    const shownTitle = kinds[name].title ?? title;
    const chart = { name, choice: {}, isStale: true, isInSight: false };
    const describedBy = `chart-${name}-help`;
    chart.drawn = make("div", { className: "chart-drawn" });
    chart.plot = make("div", { className: "chart-plot", tabIndex: 0 }, chart.drawn);
    const about = { role: "application", "aria-roledescription": "chart", "aria-label": shownTitle, "aria-describedby": describedBy };
    for (const [key, value] of Object.entries(about)) chart.plot.setAttribute(key, value);
    const help = make("p", { id: describedBy, className: "hidden-text" });
    const alternative = name === "confusion" ? "" : figure.querySelector("img").alt;
    help.textContent = `Left and right arrow keys move from point to point, up and down to other variants; Enter lists the trials. ${alternative}`;
    const picture = make("button", { type: "button", textContent: "Static figure" });
    picture.addEventListener("click", () => {
      const of = figures[name === "confusion" ? Number(chart.choice.one) : 0] ?? figure;
      of.querySelector(".enlarge").click();
    });
    const controls = make("div", { className: "chart-controls" }, ...kinds[name].choices.map((choice) => select(chart, choice)), picture);
    if (name !== "confusion") {
      const jump = make("button", { type: "button", textContent: "Choose variants" });
      jump.addEventListener("click", () => document.querySelector(".chart-bar input").focus());
      controls.append(jump);
    }
    const note = make("p", { className: "chart-note", textContent: kinds[name].note });
    chart.element = make("div", { className: "chart" }, make("p", { className: "chart-title", textContent: shownTitle }), controls, help, chart.plot, note);
    chart.element.dataset.chart = name;
    chart.reader = new ChartReader(chart.plot, chart.drawn, live, (one) => one.variant === null || shown.has(one.variant));
    figure.querySelector(".enlarge").before(chart.element);
    for (const one of figures) one.classList.add(one === figure ? "charted" : "replaced");
    charts.push(chart);
  }

  function swatch(look) {
    const image = make("span", { className: "swatch" });
    image.style.setProperty("--light-colour", look.colour);
    image.style.setProperty("--dark-colour", look.dark);
    image.dataset.dash = look.dash;
    image.dataset.marker = look.marker;
    return image;
  }

  // The one set of switches, in sight while any chart is.
  function bar() {
    const boxes = data.variants.map((look, k) => {
      const box = make("input", { type: "checkbox", checked: true });
      box.addEventListener("change", () => {
        shown[box.checked ? "add" : "delete"](k);
        update();
      });
      return box;
    });
    const items = data.variants.map((look, k) => make("li", {}, make("label", { title: look.variant }, boxes[k], swatch(look), make("span", { className: "name", textContent: look.variant }))));
    const button = (text, isOn) => {
      const element = make("button", { type: "button", textContent: text });
      element.addEventListener("click", () => {
        boxes.forEach((box, k) => {
          box.checked = isOn(k);
          shown[box.checked ? "add" : "delete"](k);
        });
        update();
      });
      return element;
    };
    const element = make(
      "div", { className: "chart-bar" },
      make("div", { className: "chart-bar-buttons" }, make("strong", { textContent: "Variants" }),
        button("All", () => true), button("None", () => false), button("Only the baseline", (k) => k === data.baseline)),
      make("ul", {}, ...items),
    );
    element.setAttribute("role", "group");
    element.setAttribute("aria-label", "Variants shown in all charts");
    return element;
  }

  for (const name of Object.keys(draw)) {
    const figure = kinds[name].figure ?? name;
    const figures = [...document.querySelectorAll(`figure[data-figure="${figure}"]`)];
    if (data[figure] && figures.length) build(name, figures);
  }
  if (!charts.length) return;
  const controls = bar();
  const first = charts.map((chart) => chart.element).reduce((a, b) => (a.compareDocumentPosition(b) & 2 ? b : a));
  first.closest("figure").before(controls);
  document.body.append(live);
  document.body.classList.add("with-charts");
  readTheme();
  update();

  const inSight = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      const chart = charts.find((one) => one.element === entry.target);
      chart.isInSight = entry.isIntersecting;
      if (chart.isInSight && chart.isStale) refresh(chart);
    }
    controls.classList.toggle("in-sight", charts.some((chart) => chart.isInSight));
  }, { rootMargin: "100px 0px" });
  const sizes = new ResizeObserver((entries) => {
    for (const entry of entries) {
      const chart = charts.find((one) => one.plot === entry.target);
      const width = Math.round(entry.contentRect.width);
      const isNew = chart.width !== undefined && chart.width !== width;
      chart.width = width;
      if (isNew) redraw(chart);
    }
  });
  function redraw(chart) {
    chart.drawing = undefined;
    chart.isStale = true;
    if (chart.isInSight) show(chart);
  }
  for (const chart of charts) {
    inSight.observe(chart.element);
    sizes.observe(chart.plot);
  }
  dark.addEventListener("change", () => {
    readTheme();
    charts.forEach(redraw);
  });
})();
