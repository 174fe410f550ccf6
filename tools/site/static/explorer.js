// The counting explorer of notebook 02, without Python: SqueezeNet 1.0 for 1,000 classes and images
// of 224 pixels, its widths given by squeeze ratio, share of 3 x 3 filters, and width.

(function () {
  "use strict";

  const CLASSES = 1000;
  const SIDES = { conv1: 109, conv10: 13 }; // of the map that a layer puts out
  const fireSide = (index) => (index <= 4 ? 54 : index <= 8 ? 27 : 13);

  /** Rounds a half to the even number, as Python does. */
  function round(value) {
    const floor = Math.floor(value);
    if (value - floor !== 0.5) return Math.round(value);
    return floor % 2 === 0 ? floor : floor + 1;
  }

  /** Parameters and multiply-adds of every module, first to last. */
  function count({ ratio, share, width }) {
    const scaled = (channels) => Math.max(1, round(channels * width));
    const module = (name, weights, biases, side) => ({
      name, parameters: weights + biases, multiplyAdds: weights * side * side,
    });
    let channels = scaled(96);
    const modules = [module("conv1", 49 * 3 * channels, channels, SIDES.conv1)];
    for (let index = 2; index <= 9; index++) {
      const expand = 128 + 128 * Math.floor((index - 2) / 2);
      const total = scaled(expand);
      const e3 = Math.min(total - 1, Math.max(1, round(total * share)));
      const s = scaled(expand * ratio);
      const weights = s * channels + (total - e3) * s + 9 * e3 * s;
      modules.push(module(`fire${index}`, weights, s + total, fireSide(index)));
      channels = total;
    }
    modules.push(module("conv10", channels * CLASSES, CLASSES, SIDES.conv10));
    return modules;
  }

  const PAPER = { ratio: 0.125, share: 0.5, width: 1 };
  const SLIDERS = [
    { key: "ratio", label: "squeeze ratio", min: 0.0625, max: 1, step: 0.0625 },
    { key: "share", label: "share of 3 × 3 filters", min: 0.05, max: 0.95, step: 0.05 },
    { key: "width", label: "width", min: 0.25, max: 2, step: 0.25 },
  ];
  const sum = (modules, key) => modules.reduce((all, module) => all + module[key], 0);
  const number = (value) => value.toLocaleString("en");

  function element(tag, className, text) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function slider({ key, label, min, max, step }, changed) {
    const row = element("label", "explorer-slider");
    const input = Object.assign(element("input"), { type: "range", min, max, step });
    const value = element("output");
    row.append(element("span", "", label), input, value);
    input.addEventListener("input", changed);
    return { row, key, input, value };
  }

  function bar(name) {
    const row = element("div", "explorer-row");
    const track = element("div", "explorer-track");
    const fill = element("div", "explorer-fill");
    const mark = element("div", "explorer-mark");
    const value = element("span", "explorer-value");
    track.append(fill, mark);
    row.append(element("span", "explorer-name", name), track, value);
    return { row, fill, mark, value };
  }

  /** Puts the explorer into a box of the page. */
  function show(box) {
    const own = count(PAPER);
    const totals = element("p", "explorer-totals");
    totals.setAttribute("aria-live", "polite");
    const bars = own.map(({ name }) => bar(name));
    const sliders = SLIDERS.map((setting) => slider(setting, draw));
    const reset = element("button", "explorer-reset", "Back to SqueezeNet 1.0");
    reset.type = "button";
    reset.addEventListener("click", () => set(PAPER));

    function draw() {
      const setting = {};
      for (const { key, input, value } of sliders) {
        setting[key] = Number(input.value);
        value.textContent = String(Number(setting[key].toFixed(4)));
      }
      const modules = count(setting);
      const longest = Math.max(...modules.concat(own).map((module) => module.parameters));
      modules.forEach((module, place) => {
        bars[place].fill.style.width = `${(100 * module.parameters) / longest}%`;
        bars[place].mark.style.left = `${(100 * own[place].parameters) / longest}%`;
        bars[place].value.textContent = number(module.parameters);
      });
      const n = sum(modules, "parameters");
      const m = sum(modules, "multiplyAdds");
      const times = (value, key) => (value / sum(own, key)).toFixed(2);
      totals.textContent =
        `${number(n)} parameters (${((4 * n) / 1e6).toFixed(2)} MB), ` +
        `${times(n, "parameters")} times SqueezeNet 1.0. ` +
        `${number(Math.round(m / 1e6))} million multiply-adds, ${times(m, "multiplyAdds")} times.`;
    }

    function set(setting) {
      for (const { key, input } of sliders) input.value = setting[key];
      draw();
    }

    const legend = element("p", "explorer-legend");
    for (const [kind, text] of [["fill", "parameters of this setting"], ["mark", "SqueezeNet 1.0"]]) {
      const key = element("span");
      key.append(element("span", `explorer-key-${kind}`), text);
      legend.append(key, " ");
    }
    box.replaceChildren(...sliders.map(({ row }) => row), totals, legend,
      ...bars.map(({ row }) => row), reset);
    set(PAPER);
  }

  if (typeof module !== "undefined") {
    module.exports = { count, round };
  } else {
    document.addEventListener("DOMContentLoaded", () => {
      document.querySelectorAll("[data-explorer]").forEach(show);
    });
  }
})();
