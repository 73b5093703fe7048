"use strict";

// What each chart draws: from its data and the reader's choices to traces and a layout of plotly.js, and to
// "series" that can be read point by point. Nothing here touches the page.
const chartDrawings = (() => {
  const FEW = 8; // variants, up to which their bands and names are drawn: more would hide each other
  const plural = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;

  // plotly.js reads some markup in texts. Names are shown letter by letter, whatever they contain.
  const inert = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const short = (name, most) => {
    const letters = [...String(name).replace(/\s+/g, " ")];
    const half = (most - 1) >> 1;
    return letters.length <= most ? letters.join("")
      : `${letters.slice(0, most - 1 - half).join("")}…${letters.slice(-half).join("")}`;
  };
  const minus = (text) => text.replace("-", "−");
  const percent = (share) => minus(`${(100 * share).toFixed(1)}%`);
  const points = (share) => minus((100 * share).toFixed(1));
  const signed = (share) => (share > 0 ? "+" : "") + points(share);
  const plain = (value) => minus(Math.abs(value) >= 1e5 ? value.toLocaleString("en") : String(+value.toPrecision(4)));
  const from = (low, high, form) =>
    low === null || high === null ? "no interval: it needs 2 seeds" : `95% interval ${form(low)} to ${form(high)}`;

  const translucent = (hex, alpha) => {
    const [red, green, blue] = [1, 3, 5].map((k) => Number.parseInt(hex.slice(k, k + 2), 16));
    return `rgba(${red},${green},${blue},${alpha})`;
  };

  function extent(values) {
    let [low, high] = [Infinity, -Infinity];
    for (const value of values) {
      if (value === null || value === undefined) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
    return [low, high];
  }

  function padded([low, high], share = 0.05) {
    if (!(low <= high)) return [0, 1];
    const room = high > low ? (high - low) * share : Math.abs(high) * share || 1;
    return [low - room, high + room];
  }

  // The range that the shown variants need; `spans` has the smallest and largest value of each series.
  const rangeOf = (series, shown, axis, key) =>
    padded(extent(series.filter((one) => one.axes.includes(axis) && shown.has(one.variant)).flatMap((one) => one[key])));

  function axis(view, more) {
    return {
      gridcolor: view.colours.grid, linecolor: view.colours.line, tickcolor: view.colours.line, zeroline: false,
      showline: true, fixedrange: true, automargin: true, ...more, title: { text: more.title ?? "", standoff: 8 },
    };
  }

  function layout(view, height, more) {
    return {
      width: view.width, height, autosize: false, showlegend: false, hovermode: false, dragmode: false,
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: view.font, size: 12, color: view.colours.ink },
      margin: { l: 8, r: 12, t: 26, b: 8 }, ...more,
    };
  }

  // Two panels beside each other, on a narrow page one below the other.
  const twoDomains = (view, left = 0.48) => view.narrow
    ? [{ domain: [0, 1] }, { domain: [0, 1] }, { domain: [0.6, 1] }, { domain: [0, 0.38] }]
    : [{ domain: [0, left] }, { domain: [left + 0.05, 1] }, { domain: [0, 1] }, { domain: [0, 1] }];

  const heading = (text, panel) => ({
    text: `<b>${inert(text)}</b>`, showarrow: false, xref: `x${panel} domain`, yref: `y${panel} domain`,
    x: 0, y: 1, xanchor: "left", yanchor: "bottom", yshift: 4,
  });

  const axesOf = (panel) => ({ xaxis: `x${panel}`, yaxis: `y${panel}` });
  const namesOf = (panel) => [`xaxis${panel}`, `yaxis${panel}`];
  const indexOf = (data, name) => data.variants.findIndex((look) => look.variant === name);
  const colourOf = (view, look) => (view.dark ? look.dark : look.colour);

  const gapsOf = (curve) => curve.train_accuracy.every.map((train, s) => train.map((share, k) => {
    const validation = curve.val_accuracy.every[s][k];
    return share === null || validation === null ? null : share - validation;
  }));

  // The curves of one measure in one panel: of each variant the mean with its interval, or every seed. The
  // names of traces begin with -v and the variant's number, so that a style rule can hide them at once.
  function curves(data, view, measure, panel, { scale = 1, dash, say, what }) {
    const [traces, series] = [[], []];
    for (const curve of data.curves.variants) {
      const index = indexOf(data, curve.variant);
      const [look, found] = [data.variants[index], curve[measure]];
      const every = measure === "gap" ? gapsOf(curve) : found.every;
      const colour = colourOf(view, look);
      const inSeconds = view.choice.against === "seconds";
      const dashes = dash ?? look.dash;
      const times = (values) => values.map((value) => (value === null ? null : value * scale));
      const common = { ...axesOf(panel), type: "scatter", hoverinfo: "skip" };
      const at = (k, seconds) => `epoch ${curve.epochs[k]}${inSeconds ? `, after ${plain(seconds)} s` : ""}`;
      if (view.choice.lines === "every") {
        const [allX, allY] = [[], []];
        curve.seeds.forEach((seed, s) => {
          const y = times(every[s]);
          const x = inSeconds ? curve.seconds.every[s] : curve.epochs.slice(0, y.length);
          for (let k = 0; k < y.length; k++) { allX.push(x[k]); allY.push(y[k]); }
          allX.push(null);
          allY.push(null);
          series.push({
            variant: index, axes: namesOf(panel), x, y, span: extent(y), wide: extent(x), colour,
            say: (k) => ({
              head: `${curve.variant}, seed ${seed}`, trials: [curve.trials[s]],
              lines: [`${what}: ${say(every[s][k])}`, at(k, x[k])],
            }),
          });
        });
        const few = curve.epochs.length < 3;
        traces.push({
          ...common, x: allX, y: allY, uid: `-v${index}-${measure}`, mode: few ? "lines+markers" : "lines",
          line: { color: translucent(colour, 0.55), width: 1, dash: dashes }, marker: { color: colour, size: 5 },
        });
        continue;
      }
      const x = inSeconds ? curve.seconds.mean : curve.epochs;
      const [y, low, high] = [found.mean, found.low, found.high].map(times);
      const known = low.map((_, k) => k).filter((k) => low[k] !== null);
      traces.push({
        ...common, uid: `-v${index}-band-${measure}`, mode: "none", fill: "toself",
        fillcolor: translucent(colour, 0.16),
        x: [...known.map((k) => x[k]), ...known.toReversed().map((k) => x[k])],
        y: [...known.map((k) => low[k]), ...known.toReversed().map((k) => high[k])],
      });
      traces.push({
        ...common, uid: `-v${index}-${measure}`, x, y, mode: x.length < 3 ? "lines+markers" : "lines",
        line: { color: colour, width: 2, dash: dashes }, marker: { color: colour, symbol: look.marker, size: 7 },
      });
      series.push({
        variant: index, axes: namesOf(panel), x, y, span: extent([...y, ...low, ...high]), wide: extent(x), colour,
        say: (k) => ({
          head: curve.variant, trials: curve.trials.filter((_, s) => k < every[s].length),
          lines: [
            `${what}: ${say(found.mean[k])}, mean over ${plural(found.n[k], "seed")}`,
            from(found.low[k], found.high[k], say), at(k, x[k]),
          ],
        }),
      });
    }
    return { traces, series };
  }

  const along = (view) => (view.choice.against === "seconds" ? "seconds of training" : "epoch");

  function learningCurves(data, view) {
    const { measure } = view.choice;
    const inShares = measure === "accuracy";
    const say = inShares ? percent : plain;
    const name = inShares ? "accuracy" : data.learning_curves.loss;
    const parts = [["train", "", "Training", "dash"], ["val", "2", "Validation", "solid"]].map(
      ([part, panel, word, dash]) =>
        curves(data, view, `${part}_${measure}`, panel, { say, dash, what: `${word} ${name}` }),
    );
    const [traces, series] = [parts.flatMap((part) => part.traces), parts.flatMap((part) => part.series)];
    const [left, right, top, bottom] = twoDomains(view);
    const range = padded(extent(series.filter((one) => view.shown.has(one.variant)).flatMap((one) => one.span)));
    const wide = padded(extent(series.flatMap((one) => one.wide)), 0.02);
    const form = inShares ? { tickformat: ".2~%" } : {};
    return {
      traces, series, shared: ["yaxis", "yaxis2"],
      layout: layout(view, view.narrow ? 560 : 380, {
        xaxis: axis(view, { ...left, range: wide, title: along(view), anchor: "y" }),
        xaxis2: axis(view, { ...right, range: wide, title: along(view), anchor: "y2" }),
        yaxis: axis(view, { ...top, range, title: name, anchor: "x", ...form }),
        yaxis2: axis(view, { ...bottom, range, title: view.narrow ? name : "", anchor: "x2", ...form }),
        annotations: [heading("Training", ""), heading("Validation", "2")],
      }),
    };
  }

  // One row per shown variant: the mean with its interval, and below it one tick per seed. All ticks of a
  // colour are one line with gaps, and so are all intervals: thousands of marks, or a hundred traces, would
  // take plotly.js half a second.
  function rows(data, view, entries, panel, { scale, say, what, sayMean }) {
    const [series, names, lines] = [[], [], {}];
    const means = { x: [], y: [], color: [], symbol: [] };
    for (const entry of entries) {
      const index = indexOf(data, entry.variant);
      if (!view.shown.has(index)) continue;
      const row = names.push(short(entry.variant, view.narrow ? 16 : 30)) - 1;
      const values = entry.of;
      if (!values) continue;
      const colour = colourOf(view, data.variants[index]);
      const scaled = (value) => (value === null ? null : value * scale);
      const { ticks, bars } = (lines[colour] ??= { ticks: { x: [], y: [] }, bars: { x: [], y: [] } });
      for (const value of values.values) {
        ticks.x.push(scaled(value), scaled(value), null);
        ticks.y.push(row + 0.2, row + 0.38, null);
      }
      bars.x.push(scaled(values.low), scaled(values.high), null);
      bars.y.push(row, row, null);
      means.x.push(scaled(values.mean));
      means.y.push(row);
      means.color.push(colour);
      means.symbol.push(data.variants[index].marker);
      series.push({
        variant: index, axes: namesOf(panel), colour,
        x: [values.mean, ...values.values].map(scaled), y: [row, ...values.values.map(() => row + 0.29)],
        span: extent([values.low, values.high, values.mean, ...values.values].map(scaled)), wide: [],
        say: (k) => k === 0
          ? { head: entry.variant, trials: [...new Set(values.trials.flat())], lines: sayMean(values) }
          : {
            head: `${entry.variant}, seed ${values.seeds[k - 1]}`, trials: [values.trials[k - 1]].flat(),
            lines: [`${what}: ${say(values.values[k - 1])}`],
          },
      });
    }
    const common = { ...axesOf(panel), type: "scatter", hoverinfo: "skip", mode: "lines" };
    const traces = Object.entries(lines).flatMap(([colour, { ticks, bars }]) => [
      { ...common, ...ticks, line: { color: translucent(colour, 0.6), width: 1.5 } },
      { ...common, ...bars, line: { color: colour, width: 2.5 } },
    ]);
    const { x, y, ...marker } = means;
    traces.push({ ...common, x, y, mode: "markers", marker: { ...marker, size: 10, opacity: 1, line: { width: 0 } } });
    return { traces, series, names };
  }

  // The room for names is measured here, because plotly.js draws all twice to find it.
  const roomFor = (view, names) => 14 + Math.max(0, ...names.map((name) => view.textWidth(name)));
  const fixed = { automargin: false };
  const rowAxis = (view, names, more) => axis(view, {
    automargin: false,
    range: [Math.max(names.length, 1) - 0.4, -0.6], tickvals: names.map((_, k) => k), ticktext: names.map(inert),
    showgrid: false, showline: false, ticklen: 0, ...more,
  });
  const heightOfRows = (count) => 110 + Math.max(count, 2) * (count > 12 ? 24 : 34);
  const vertical = (panel, x, view, more) => ({
    type: "line", xref: `x${panel}`, yref: `y${panel} domain`, x0: x, x1: x, y0: 0, y1: 1,
    line: { color: view.colours.soft, width: 1 }, layer: "below", ...more,
  });

  const sayGap = (gap) => `${points(gap)} points`;

  function overfittingGap(data, view) {
    const { traces, series } = curves(data, view, "gap", "", { scale: 100, say: sayGap, what: "Overfitting gap" });
    return {
      traces, series, shared: ["yaxis"],
      layout: layout(view, 360, {
        xaxis: axis(view, { range: padded(extent(series.flatMap((one) => one.wide)), 0.02), title: along(view) }),
        yaxis: axis(view, { range: rangeOf(series, view.shown, "yaxis", "span"), title: "gap (percentage points)" }),
        shapes: [{ type: "line", xref: "x domain", x0: 0, x1: 1, y0: 0, y1: 0, line: { color: view.colours.soft, width: 1 }, layer: "below" }],
      }),
    };
  }

  function lastGap(data, view) {
    const what = "Gap after the last epoch";
    const { traces, series, names } = rows(data, view, data.overfitting_gap.variants.map((entry) => ({ ...entry, of: entry })), "", {
      scale: 100, say: sayGap, what,
      sayMean: (v) => [`${what}: ${sayGap(v.mean)}, mean over ${plural(v.n, "seed")}`, from(v.low, v.high, sayGap)],
    });
    return {
      traces, series, rows: true,
      layout: layout(view, heightOfRows(names.length), {
        margin: { l: roomFor(view, names), r: 16, t: 8, b: 44 },
        xaxis: axis(view, { ...fixed, range: rangeOf(series, view.shown, "xaxis", "span"), title: "gap (percentage points)" }),
        yaxis: rowAxis(view, names, {}),
        shapes: [vertical("", 0, view)],
      }),
    };
  }

  function forest(data, view) {
    const chart = data.forest;
    const scale = chart.in_points ? 100 : 1;
    const say = chart.in_points ? percent : plain;
    const sayDifference = chart.in_points ? (v) => `${signed(v)} points` : (v) => (v > 0 ? "+" : "") + plain(v);
    const left = rows(data, view, chart.variants.map((entry) => ({ ...entry, of: entry })), "", {
      scale, say, what: chart.metric,
      sayMean: (v) => [`${chart.metric}: ${say(v.mean)}, mean over ${plural(v.n, "seed")}`, from(v.low, v.high, say)],
    });
    const right = rows(data, view, chart.variants.map((entry) => ({ ...entry, of: entry.difference })), "2", {
      scale, say: sayDifference, what: "Difference from the baseline",
      sayMean: (v) => [`Difference from the baseline: ${v.estimate}`, `n = ${plural(v.n, "pair")}`, v.verdict].filter(Boolean),
    });
    const series = [...left.series, ...right.series];
    const shownRows = chart.variants.filter((entry) => view.shown.has(indexOf(data, entry.variant)));
    const verdicts = view.width > 820 ? shownRows.map((entry) => entry.difference?.verdict || "baseline") : [];
    const [first, second, top, bottom] = twoDomains(view);
    const spans = rangeOf(series, view.shown, "xaxis2", "span");
    const margin = scale * chart.margin;
    const range = right.series.length ? [Math.min(spans[0], -1.3 * margin), Math.max(spans[1], 1.3 * margin)] : [-2 * margin, 2 * margin];
    const unit = chart.in_points ? "percentage points" : chart.metric;
    const beside = { // in one trace, because as many annotations take ten times as long
      ...axesOf("2"), type: "scatter", mode: "text", hoverinfo: "skip", cliponaxis: false, textposition: "middle right",
      x: verdicts.map(() => range[1]), y: verdicts.map((_, row) => row), text: verdicts.map((verdict) => inert(`  ${verdict}`)),
      textfont: { color: verdicts.map((verdict) => view.colours[verdict.split(" ")[1]] || view.colours.soft) },
    };
    return {
      traces: [...left.traces, ...right.traces, beside], series, rows: true,
      layout: layout(view, (view.narrow ? 2 : 1) * heightOfRows(left.names.length), {
        margin: { l: roomFor(view, left.names), r: verdicts.length ? Math.min(roomFor(view, verdicts) + 8, 260) : 14, t: 26, b: 44 },
        xaxis: axis(view, { ...fixed, ...first, range: rangeOf(series, view.shown, "xaxis", "span"), title: chart.metric, anchor: "y", ticksuffix: chart.in_points ? "%" : "" }),
        xaxis2: axis(view, { ...fixed, ...second, range, title: `difference (${unit})`, anchor: "y2" }),
        yaxis: rowAxis(view, left.names, { ...top, anchor: "x" }),
        yaxis2: rowAxis(view, left.names, { ...bottom, anchor: "x2", showticklabels: view.narrow }),
        shapes: [
          vertical("2", -margin, view, { type: "rect", x1: margin, fillcolor: view.colours.line, opacity: 0.6, line: { width: 0 } }),
          vertical("2", 0, view),
        ],
        annotations: [heading(chart.metric[0].toUpperCase() + chart.metric.slice(1), ""), heading("Difference from the baseline", "2")],
      }),
    };
  }

  function cost(data, view) {
    const [chart, by] = [data.cost, view.choice.cost];
    const name = chart.costs[by];
    const [traces, series] = [[], []];
    const known = chart.variants.filter((entry) => entry[by] !== null).sort((a, b) => a[by] - b[by]);
    const front = known.filter((entry) => entry.front.includes(by));
    traces.push({
      type: "scatter", mode: "lines", hoverinfo: "skip", x: front.map((entry) => entry[by]), y: front.map((entry) => entry.accuracy),
      line: { shape: "hv", color: view.colours.soft, width: 1 },
    });
    for (const entry of known) {
      const index = indexOf(data, entry.variant);
      const [look, colour] = [data.variants[index], colourOf(view, data.variants[index])];
      traces.push({
        type: "scatter", hoverinfo: "skip", uid: `-v${index}-cost`, mode: "lines+markers",
        x: [entry[by], entry[by], entry[by]], y: [entry.low, entry.accuracy, entry.high],
        line: { color: colour, width: 1.5 }, marker: { color: colour, symbol: look.marker, size: [0, 10, 0], opacity: 1, line: { width: 0 } },
      });
      traces.push({ // the name, which a rule of style hides where there are many
        type: "scatter", hoverinfo: "skip", uid: `-v${index}-name-cost`, mode: "text", x: [entry[by]], y: [entry.accuracy],
        text: [inert(` ${short(entry.variant, 24)}`)], textposition: "top right", textfont: { color: colour, size: 11 },
      });
      series.push({
        variant: index, axes: ["xaxis", "yaxis"], colour, x: [entry[by]], y: [entry.accuracy],
        span: extent([entry.low, entry.accuracy, entry.high]), wide: [entry[by], entry[by]],
        say: () => ({
          head: entry.variant, trials: entry.trials,
          lines: [
            `test accuracy: ${percent(entry.accuracy)}, mean over ${plural(entry.n, "seed")}`,
            from(entry.low, entry.high, percent), `${name}: ${plain(entry[by])}`,
            ...(entry.front.includes(by) ? ["on the Pareto front"] : []),
          ],
        }),
      });
    }
    const [low, high] = extent(known.map((entry) => entry[by]));
    const isLog = low > 0 && high > 10 * low;
    const wide = isLog ? padded([Math.log10(low), Math.log10(high)], 0.12) : padded([low, high], 0.15);
    if (view.shown.size <= FEW) wide[1] += 0.12 * (wide[1] - wide[0]); // for the name of the last one
    return {
      traces, series, shared: ["yaxis"],
      layout: layout(view, 380, {
        xaxis: axis(view, { type: isLog ? "log" : "linear", range: wide, title: name, exponentformat: "SI", ...(isLog ? { dtick: high > 100 * low ? 1 : "D1" } : {}) }),
        yaxis: axis(view, { range: rangeOf(series, view.shown, "yaxis", "span"), title: "test accuracy", tickformat: ".2~%" }),
      }),
    };
  }

  function calibration(data, view) {
    const chart = data.calibration;
    const [traces, series] = [[], []];
    for (const entry of chart.variants) {
      const index = indexOf(data, entry.variant);
      const [look, colour] = [data.variants[index], colourOf(view, data.variants[index])];
      const total = entry.images.reduce((sum, count) => sum + count, 0);
      const bars = { x: [], y: [] };
      entry.confidence.forEach((x, k) => {
        bars.x.push(x, x, null);
        bars.y.push(entry.low[k], entry.high[k], null);
      });
      const common = { type: "scatter", hoverinfo: "skip" };
      traces.push({ ...common, uid: `-v${index}-band-bars`, ...bars, mode: "lines", line: { color: translucent(colour, 0.6), width: 1.5 } });
      traces.push({
        ...common, uid: `-v${index}-bins`, x: entry.confidence, y: entry.accuracy, mode: "lines+markers",
        line: { color: colour, width: 1.5 },
        marker: { color: colour, symbol: look.marker, size: entry.images.map((n) => 5 + 16 * Math.sqrt(n / total)), line: { width: 0 } },
      });
      series.push({
        variant: index, axes: ["xaxis", "yaxis"], colour, x: entry.confidence, y: entry.accuracy, span: [0, 1], wide: [0, 1],
        say: (k) => ({
          head: entry.variant, trials: entry.trials,
          lines: [
            `confidence ${percent(entry.above[k])} to ${percent(entry.up_to[k])}, mean ${percent(entry.confidence[k])}`,
            `accuracy: ${percent(entry.accuracy[k])}, mean over ${plural(entry.n[k], "seed")}`,
            from(entry.low[k], entry.high[k], percent),
            `${entry.images[k].toLocaleString("en")} ${chart.cases}; expected calibration error ${percent(entry.error)}`,
          ],
        }),
      });
    }
    const form = { tickformat: ".0%", range: [0, 1.02], tickvals: [0, 0.2, 0.4, 0.6, 0.8, 1] };
    const side = Math.min(view.width, 560);
    return {
      traces, series,
      layout: layout({ ...view, width: side }, Math.min(side, 480), {
        xaxis: axis(view, { ...form, title: "confidence" }),
        yaxis: axis(view, { ...form, title: chart.cases === "labels" ? "label accuracy" : "accuracy" }),
        shapes: [{ type: "line", x0: 0, y0: 0, x1: 1, y1: 1, line: { color: view.colours.soft, width: 1 }, layer: "below" }],
      }),
    };
  }

  const sharesOf = (counts) => counts.map((row) => {
    const total = row.reduce((sum, count) => sum + count, 0);
    return row.map((count) => (total ? count / total : null));
  });

  function confusion(data, view) {
    const { classes, variants } = data.confusion;
    const [one, other] = [variants[view.choice.one], variants[view.choice.other]];
    const shares = sharesOf(one.counts);
    const others = other && sharesOf(other.counts);
    const values = shares.map((row, k) => row.map((share, j) =>
      share === null || (others && others[k][j] === null) ? null : 100 * (others ? share - others[k][j] : share)));
    const most = others ? Math.max(1, ...values.map((row) => Math.max(...row.map(Math.abs)))) : 100;
    const ground = view.dark ? "#1d2229" : "#ffffff";
    const side = Math.min(view.width, Math.max(340, 150 + 34 * classes.length), 860);
    const readable = classes.length <= 20 && (side - 110) / classes.length >= 19;
    const names = classes.map((name) => inert(short(name, 14)));
    const ticks = classes.length <= 40 ? { tickvals: classes.map((_, k) => k), ticktext: names } : { showticklabels: false };
    const form = { ...ticks, showgrid: false, showline: false, ticklen: 0 };
    const heat = {
      type: "heatmap", z: values, hoverinfo: "skip", showscale: !readable, zmin: others ? -most : 0, zmax: most,
      colorscale: others ? [[0, "#8a63c7"], [0.5, ground], [1, "#e08214"]]
        : [[0, ground], [1, view.dark ? "#3d8fd1" : "#3b86c6"]],
      xgap: classes.length <= 40 ? 1 : 0, ygap: classes.length <= 40 ? 1 : 0, colorbar: { thickness: 12, ticksuffix: others ? "" : "%" },
    };
    if (readable) {
      heat.text = values.map((row) => row.map((v) => (v === null ? "–" : others && Math.abs(v) < 0.5 ? "" : minus((others && v > 0 ? "+" : "") + v.toFixed(0)))));
      heat.texttemplate = "%{text}";
      heat.textfont = { size: 11 };
    }
    const series = shares.map((row, k) => ({
      variant: null, axes: ["xaxis", "yaxis"], colour: view.colours.ink, x: classes.map((_, j) => j), y: classes.map(() => k), span: [], wide: [],
      say: (j) => ({
        head: `${classes[k]} predicted as ${classes[j]}`,
        trials: others ? [...one.trials, ...other.trials] : one.trials,
        lines: [
          `${one.variant}: ${sayCell(one, row, k, j)}`,
          ...(others ? [`${other.variant}: ${sayCell(other, others[k], k, j)}`] : []),
          ...(others && row[j] !== null && others[k][j] !== null ? [`difference: ${signed(row[j] - others[k][j])} points`] : []),
        ],
      }),
    }));
    return {
      traces: [heat], series,
      layout: layout({ ...view, width: side }, side, {
        margin: { l: 8, r: 12, t: 8, b: 8 },
        xaxis: axis(view, { ...form, range: [-0.5, classes.length - 0.5], title: "predicted class", tickangle: classes.length > 10 || view.narrow ? -90 : "auto" }),
        yaxis: axis(view, { ...form, range: [classes.length - 0.5, -0.5], title: "true class" }),
      }),
    };
  }

  function sayCell(entry, shares, k, j) {
    const total = entry.counts[k].reduce((sum, count) => sum + count, 0);
    if (!total) return "no test images of this class";
    const over = entry.trials.length > 1 ? `, over ${plural(entry.trials.length, "seed")}` : "";
    return `${percent(shares[j])}, ${entry.counts[k][j].toLocaleString("en")} of ${total.toLocaleString("en")}${over}`;
  }

  return {
    FEW, extent, padded, rangeOf,
    draw: { forest, overfitting_gap: overfittingGap, last_gap: lastGap, learning_curves: learningCurves, confusion, calibration, cost },
  };
})();
