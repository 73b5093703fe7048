"use strict";

// Reads a chart point by point, by mouse and by keyboard: the point nearest to the mouse, or the one that the
// arrow keys move to, gets a ring, a label beside it, and a sentence in a live region. plotly.js has labels of
// its own, but no keyboard, and it reads markup in them. Here, names are text nodes and nothing else.
class ChartReader {
  #series = [];
  #at = null; // the series and the point that is read, as indices
  #tapped = null;
  #isShown;
  #live;

  // plot: the element that takes the focus; drawn: the element of plotly.js inside it; live: the live region
  // of the page; isShown: whether the variant of a series is switched on.
  constructor(plot, drawn, live, isShown) {
    Object.assign(this, { plot, drawn });
    this.#live = live;
    this.#isShown = isShown;
    this.ring = document.createElement("div");
    this.ring.className = "chart-ring";
    this.label = document.createElement("div");
    this.label.className = "chart-label";
    this.label.setAttribute("aria-hidden", "true"); // the live region says the same
    this.hide();
    plot.append(this.ring, this.label);
    plot.addEventListener("mousemove", (event) => this.#follow(event));
    plot.addEventListener("mouseleave", () => this.hide());
    plot.addEventListener("click", (event) => this.#click(event));
    plot.addEventListener("keydown", (event) => this.#key(event));
    plot.addEventListener("blur", () => this.hide());
  }

  set series(series) {
    if (series.length !== this.#series.length) this.#at = null;
    this.#series = series;
    this.hide();
  }

  hide() {
    this.ring.hidden = this.label.hidden = true;
  }

  // The pixels of a series' points inside the plot, computed when they are first needed.
  #pixels(one) {
    if (!one.pixels) {
      const [x, y] = one.axes.map((name) => this.drawn._fullLayout[name]);
      one.pixels = {
        x: Float32Array.from(one.x, (value) => (value === null ? Number.NaN : x._offset + x.d2p(value))),
        y: Float32Array.from(one.y, (value) => (value === null ? Number.NaN : y._offset + y.d2p(value))),
      };
    }
    return one.pixels;
  }

  #position(event) {
    const box = this.drawn.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  #nearest(left, top) {
    let [best, at] = [45 ** 2, null]; // no point is read that is farther away than 45 pixels
    this.#series.forEach((one, s) => {
      if (!this.#isShown(one)) return;
      const { x, y } = this.#pixels(one);
      for (let k = 0; k < x.length; k++) {
        const distance = (x[k] - left) ** 2 + (y[k] - top) ** 2;
        if (distance < best) [best, at] = [distance, [s, k]];
      }
    });
    return at;
  }

  #follow(event) {
    const at = this.#nearest(...this.#position(event));
    if (at) this.#show(at, false);
    else this.hide();
  }

  #click(event) {
    if (event.target === this.label) return; // it was clicked by the line below
    const at = this.#nearest(...this.#position(event));
    if (!at) return;
    const isRead = this.#tapped?.join() === at.join();
    this.#tapped = at;
    if (event.pointerType === "touch" && !isRead) this.#show(at, false); // a second tap opens the trials
    else this.#openTrials(at);
  }

  // The page's own dialog of trials opens for an element that names them.
  #openTrials(at) {
    this.#show(at, false);
    this.label.click();
  }

  #key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const steps = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0], Home: [0, -Infinity], End: [0, Infinity] };
    if (event.key === "Escape") {
      this.hide();
    } else if (event.key === "Enter" && this.#at && !this.ring.hidden) {
      this.#openTrials(this.#at);
    } else if (steps[event.key]) {
      const at = this.#moved(...steps[event.key]);
      if (at) this.#show(at, true);
    } else {
      return;
    }
    event.preventDefault();
  }

  // From one point to the next of its series, or to the point at the same x in the next series that is shown.
  #moved(down, right) {
    const shown = this.#series.map((_, s) => s).filter((s) => this.#isShown(this.#series[s]));
    if (!shown.length) return null;
    if (!this.#at || !shown.includes(this.#at[0])) return [shown[0], this.#numbers(shown[0])[0] ?? 0];
    let [s, k] = this.#at;
    if (down) {
      s = shown[(shown.indexOf(s) + down + shown.length) % shown.length];
      const x = this.#series[this.#at[0]].x[k];
      const away = (j) => Math.abs(this.#series[s].x[j] - x);
      const isInRows = this.#series[s].axes[0] !== this.#series[this.#at[0]].axes[0] || this.#series[s].byPlace;
      const candidates = this.#numbers(s);
      k = isInRows ? (candidates.includes(k) ? k : candidates[0]) : candidates.reduce((a, b) => (away(b) < away(a) ? b : a), candidates[0]);
      return [s, k ?? 0];
    }
    const candidates = this.#numbers(s);
    const place = Math.min(Math.max(candidates.indexOf(k) + right, 0), candidates.length - 1);
    return [s, candidates[place] ?? k];
  }

  // The points of a series that have a value.
  #numbers(s) {
    const { x, y } = this.#series[s];
    return x.map((_, k) => k).filter((k) => x[k] !== null && y[k] !== null);
  }

  #show(at, aloud) {
    const [s, k] = at;
    const one = this.#series[s];
    const { x, y } = this.#pixels(one);
    const said = one.say(k);
    if (aloud) this.#live.textContent = [said.head, ...said.lines].join(", ");
    if (!this.ring.hidden && this.#at && this.#at[0] === s && this.#at[1] === k) return;
    this.#at = at;
    this.label.replaceChildren(...[said.head, ...said.lines, this.#named(said.trials)].map((text, line) => {
      const element = document.createElement(line ? "span" : "strong");
      element.textContent = text;
      return element;
    }));
    this.label.dataset.trials = said.trials.join(" ");
    this.ring.style.borderColor = one.colour;
    this.ring.hidden = this.label.hidden = false;
    const [left, top] = [x[k] + this.drawn.offsetLeft, y[k] + this.drawn.offsetTop];
    this.ring.style.translate = `${left}px ${top}px`;
    this.#place(left, top);
  }

  // The label lies beside its point, or above or below it where there is no room.
  #place(left, top) {
    const { offsetWidth: width, offsetHeight: height } = this.label;
    const within = (value, most) => Math.max(0, Math.min(value, most));
    const [right, bottom] = [this.plot.clientWidth - width, this.plot.clientHeight - height];
    const isRight = left > this.plot.clientWidth / 2;
    let [x, y] = [isRight ? left - width - 14 : left + 14, within(top - height / 2, bottom)];
    if (x < 0 || x > right) [x, y] = [within(left - width / 2, right), top > height + 14 ? top - height - 14 : top + 14];
    this.label.style.translate = `${x}px ${y}px`;
  }

  #named(places) {
    const ids = places.map((place) => ChartReader.trials[place]);
    return ids.length > 2 ? `${ids.length} trials, from ${ids[0]}` : ids.join(", ");
  }

  static trials = JSON.parse(document.getElementById("trials-behind").textContent);
}
