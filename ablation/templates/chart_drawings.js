"use strict";

// What each chart draws: from its data and the reader's choices to traces and a layout of plotly.js, and to
// "series" that can be read point by point. Nothing here touches the page.
const chartDrawings = (() => {
  const {
    FEW, plural, inert, short, minus, percent, points, signed, plain, from, translucent, extent,
    padded, rangeOf, axis, layout, twoDomains, heading, axesOf, indexOf, colourOf, curves, along,
    rows, roomFor, fixed, rowAxis, heightOfRows, vertical, logTicks, placesOfNames,
  } = chartParts;

  function learningCurves(data, view) {
    const { measure } = view.choice;
    const inShares = measure === "accuracy";
    const say = inShares ? percent : plain;
    const name = inShares ? "accuracy" : data.learning_curves.loss;
    const parts = [["train", "", "Training"], ["val", "2", "Validation"]].map(([part, panel, word]) =>
      curves(data, view, `${part}_${measure}`, panel, { say, what: `${word} ${name}` }));
    const [traces, series] = [parts.flatMap((part) => part.traces), parts.flatMap((part) => part.series)];
    const height = view.narrow ? 560 : 380;
    const [left, right, top, bottom] = twoDomains(view, height);
    const range = padded(extent(series.filter((one) => view.shown.has(one.variant)).flatMap((one) => one.span)));
    const wide = padded(extent(series.flatMap((one) => one.wide)), 0.02);
    const form = inShares ? { tickformat: ".2~%" } : {};
    return {
      traces, series, shared: ["yaxis", "yaxis2"],
      layout: layout(view, height, {
        xaxis: axis(view, { ...left, range: wide, title: along(view), anchor: "y" }),
        xaxis2: axis(view, { ...right, range: wide, title: along(view), anchor: "y2" }),
        yaxis: axis(view, { ...top, range, title: name, anchor: "x", ...form }),
        yaxis2: axis(view, { ...bottom, range, title: view.narrow ? name : "", anchor: "x2", ...form }),
        annotations: [heading("Training", ""), heading("Validation", "2")],
      }),
    };
  }

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
      traces, series, isRedrawn: true,
      layout: layout(view, heightOfRows(names), {
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
    const height = (view.narrow ? 2 : 1) * heightOfRows(left.names);
    const [first, second, top, bottom] = twoDomains(view, height);
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
      traces: [...left.traces, ...right.traces, beside], series, isRedrawn: true,
      layout: layout(view, height, {
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
    const scaled = (value) => (isLog ? Math.log10(value) : value);
    const ranges = { x: padded([scaled(low), scaled(high)], 0.2), y: rangeOf(series, view.shown, "yaxis", "span") };
    const names = view.shown.size > FEW ? [] : namesOfCosts(data, view, known.filter((entry) => view.shown.has(indexOf(data, entry.variant))), by, ranges, scaled);
    return {
      traces, series, isRedrawn: true,
      layout: layout(view, COST.height, {
        margin: COST.margin, annotations: names,
        xaxis: axis(view, { ...fixed, type: isLog ? "log" : "linear", range: ranges.x, title: name, exponentformat: "SI", nticks: view.narrow ? 5 : 10, ...(isLog ? logTicks(low, high) : {}) }),
        yaxis: axis(view, { ...fixed, range: ranges.y, title: "test accuracy", tickformat: ".2~%" }),
      }),
    };
  }

  const COST = { height: 380, margin: { l: 64, r: 12, t: 10, b: 46 } };

  // The names of the variants, each with a thin line to its mark if it is not beside it.
  function namesOfCosts(data, view, entries, by, { x, y }, scaled) {
    const { l, r, t, b } = COST.margin;
    const [right, bottom] = [view.width - r, COST.height - b];
    const left = (value) => l + ((scaled(value) - x[0]) / (x[1] - x[0])) * (right - l);
    const top = (value) => t + ((y[1] - value) / (y[1] - y[0])) * (bottom - t);
    const texts = entries.map((entry) => short(entry.variant, view.narrow ? 16 : 24));
    const places = placesOfNames(
      entries.map((entry, k) => ({ x: left(entry[by]), y: top(entry.accuracy), width: view.textWidth(texts[k]) })),
      entries.map((entry) => ({ x: left(entry[by]), top: top(entry.high ?? entry.accuracy), bottom: top(entry.low ?? entry.accuracy) })),
      [l, t, right, bottom], 15,
    );
    return entries.flatMap((entry, k) => {
      if (!places[k]) return [];
      const colour = colourOf(view, data.variants[indexOf(data, entry.variant)]);
      return {
        x: scaled(entry[by]), y: entry.accuracy, text: inert(texts[k]), font: { size: 12, color: colour }, borderpad: 0,
        ax: places[k].x - left(entry[by]), ay: places[k].y - top(entry.accuracy), xanchor: "center", yanchor: "middle",
        showarrow: true, arrowhead: 0, arrowwidth: 1, arrowcolor: places[k].isMoved ? colour : "rgba(0,0,0,0)", standoff: 6,
      };
    });
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
        xaxis: axis(view, { ...form, range: [-0.5, classes.length - 0.5], title: "predicted class", tickangle: names.every((name) => view.textWidth(name) <= (side - 110) / classes.length) ? 0 : -90 }),
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
