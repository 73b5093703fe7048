"use strict";

// What the charts share: texts, axes, curves over the epochs and rows of variants. Nothing here touches the page.
const chartParts = (() => {
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
  // A name in at most two lines of `most` letters each, so that names that begin and end alike are told apart.
  function inLines(name, most) {
    const letters = [...short(name, 2 * most)];
    if (letters.length <= most) return letters.join("");
    const space = letters.lastIndexOf(" ", most);
    const end = space >= letters.length - 1 - most && space > 0 ? space : most;
    return `${letters.slice(0, end).join("")}\n${letters.slice(end).join("").trim()}`;
  }
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

  // Two panels beside each other, or on a narrow page one below the other, with room for an axis and a heading
  // between them: as many pixels in a chart of any height.
  function twoDomains(view, height) {
    const whole = { domain: [0, 1] };
    if (!view.narrow) return [{ domain: [0, 0.48] }, { domain: [0.53, 1] }, whole, whole];
    const half = (1 - 84 / (height - 70)) / 2; // the margins are about 70
    return [whole, whole, { domain: [1 - half, 1] }, { domain: [0, half] }];
  }

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
  function curves(data, view, measure, panel, { scale = 1, say, what }) {
    const [traces, series] = [[], []];
    for (const curve of data.curves.variants) {
      const index = indexOf(data, curve.variant);
      const [look, found] = [data.variants[index], curve[measure]];
      const every = measure === "gap" ? gapsOf(curve) : found.every;
      const colour = colourOf(view, look);
      const inSeconds = view.choice.against === "seconds";
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
          line: { color: translucent(colour, 0.55), width: 1, dash: look.dash }, marker: { color: colour, size: 5 },
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
        line: { color: colour, width: 2, dash: look.dash }, marker: { color: colour, symbol: look.marker, size: 7 },
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

  // Round numbers on a logarithmic axis: whole powers of ten or, of fewer than two, also their doubles and
  // quintuples; plotly.js would label all digits in between. "k" and "M" are for thousands and millions.
  function logTicks(low, high) {
    const steps = high > 100 * low ? [1] : [1, 2, 5];
    const values = [];
    for (let power = Math.floor(Math.log10(low)) - 1; power <= Math.ceil(Math.log10(high)) + 1; power++) {
      for (const step of steps) values.push(step * 10 ** power);
    }
    const unit = (value) => [[1e9, "G"], [1e6, "M"], [1e3, "k"]].find(([size]) => value >= size) ?? [1, ""];
    return {
      tickvals: values,
      ticktext: values.map((value) => `${+(value / unit(value)[0]).toPrecision(3)}${unit(value)[1]}`),
    };
  }

  // Places for names beside points, in pixels: the nearest ones where a name touches no other name, no bar and
  // no edge. A name for which there is no room has no place. The left is first, because
  // the Pareto front goes on to the right. `points` have the middle of a mark and the two
  // ends of its bar; `panel` has left, top, right and bottom.
  function placesOfNames(points, bars, panel, height) {
    const touch = (a, b) => a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];
    const taken = bars.map(({ x, top, bottom }) => [x - 6, top - 4, x + 6, bottom + 4]);
    const fits = (box) => box[0] >= panel[0] && box[1] >= panel[1] && box[2] <= panel[2] && box[3] <= panel[3]
      && !taken.some((other) => touch(box, other));
    return points.map(({ x, y, width }) => {
      for (let line = 0; line < 8; line++) {
        for (const down of line ? [-line * height, line * height] : [0]) {
          for (const left of [x - 10 - width, x + 10, x - width / 2]) {
            const box = [left, y + down - height / 2, left + width, y + down + height / 2];
            if (!fits(box)) continue;
            taken.push(box);
            return { x: left + width / 2, y: y + down, isMoved: line > 0 };
          }
        }
      }
      return null;
    });
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
      const row = names.push(inLines(entry.variant, view.narrow ? 16 : 30)) - 1;
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
  const roomFor = (view, names) => 14 + Math.max(0, ...names.flatMap((name) => name.split("\n")).map((line) => view.textWidth(line)));
  const fixed = { automargin: false };
  const rowAxis = (view, names, more) => axis(view, {
    automargin: false,
    range: [Math.max(names.length, 1) - 0.4, -0.6], tickvals: names.map((_, k) => k), ticktext: names.map((name) => inert(name).replace("\n", "<br>")),
    showgrid: false, showline: false, ticklen: 0, ...more,
  });
  const heightOfRows = (names) => {
    const dense = names.length > 12 && !names.some((name) => name.includes("\n"));
    return 110 + Math.max(names.length, 2) * (dense ? 24 : 34);
  };
  const vertical = (panel, x, view, more) => ({
    type: "line", xref: `x${panel}`, yref: `y${panel} domain`, x0: x, x1: x, y0: 0, y1: 1,
    line: { color: view.colours.soft, width: 1 }, layer: "below", ...more,
  });

  return {
    FEW, plural, inert, short, inLines, minus, percent, points, signed, plain, from, translucent, extent,
    padded, rangeOf, axis, layout, twoDomains, heading, axesOf, indexOf, colourOf, curves, along,
    rows, roomFor, fixed, rowAxis, heightOfRows, vertical, logTicks, placesOfNames,
  };
})();
