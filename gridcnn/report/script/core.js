/* What all pages share: their data, building of elements, the tip, and mounting of parts.

   A part is a piece of a page that lives: `gridcnn.part("name", (element, data) => ...)` says how it
   is made, and every element with data-part="name" becomes one when the page has loaded. Texts reach
   the page by textContent alone, so that no name can become markup. */
"use strict";

const gridcnn = (() => {
  const makers = new Map();

  /* The page's data, with every packed array as {shape, values: Float32Array}. */
  function unpack(value) {
    if (value === null || typeof value !== "object") return value;
    if (typeof value.float32 === "string" && Array.isArray(value.shape)) {
      return { shape: value.shape, values: floats(value.float32) };
    }
    if (Array.isArray(value)) return value.map(unpack);
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, unpack(each)]));
  }

  function floats(text) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const view = new DataView(bytes.buffer);
    // Float32Array has the machine's order of bytes, the data always the little end first.
    return Float32Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
  }

  /* Make an element: attributes by name (`class`, `aria-label`, ...), listeners as functions
     (`onclick`), then children: elements or texts. */
  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (typeof value === "function") element.addEventListener(name.slice(2), value);
      else if (value === true) element.setAttribute(name, "");
      else if (value !== false && value !== null && value !== undefined) {
        element.setAttribute(name, value);
      }
    }
    element.append(...children);
    return element;
  }

  function part(name, maker) {
    makers.set(name, maker);
  }

  function mount() {
    const holder = document.getElementById("data");
    gridcnn.data = holder ? unpack(JSON.parse(holder.textContent)) : null;
    for (const element of document.querySelectorAll("[data-part]")) {
      const maker = makers.get(element.dataset.part);
      if (maker) maker(element, gridcnn.data);
    }
  }

  /* Show a text beside a place of the window; a screen reader reads it out. */
  function showTip(text, x, y) {
    const tip = document.getElementById("tip");
    if (!tip) return;
    if (tip.textContent !== text) tip.textContent = text;
    tip.classList.add("shown");
    const box = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - box.width - 4))}px`;
    tip.style.top = `${y + 18 + box.height > innerHeight ? Math.max(4, y - box.height - 10) : y + 18}px`;
  }

  function hideTip() {
    const tip = document.getElementById("tip");
    if (tip) tip.classList.remove("shown");
  }

  /* A number in few characters that still differ where the numbers do. */
  function number(value) {
    if (!Number.isFinite(value)) return String(value);
    const size = Math.abs(value);
    if (size !== 0 && (size < 0.001 || size >= 1e6)) return value.toExponential(2);
    return String(Number(value.toPrecision(4)));
  }

  function percent(share) {
    // Never rounded up to 100 %, nor down to 0.
    if (share > 0.999 && share < 1) return "> 99.9 %";
    if (share > 0 && share < 0.0005) return "< 0.1 %";
    return `${(100 * share).toFixed(share > 0.0995 && share < 0.99 ? 0 : 1)} %`;
  }

  /* Bars of votes, the most voted first. `votes` is [[class, share 0..1], ...]. */
  function votes(element, shares, answers = null) {
    const sorted = [...shares].sort((a, b) => b[1] - a[1]);
    const most = answers === null ? new Set([sorted[0] && sorted[0][0]]) : new Set(answers);
    element.classList.add("votes");
    element.replaceChildren(
      ...sorted.map(([name, share]) => {
        const bar = make("div", { class: "bar" });
        bar.style.width = `${100 * share}%`;
        return make("li", most.has(name) ? { class: "most" } : {},
          make("span", { class: "name", title: name }, String(name)),
          make("span", { class: "track", "aria-hidden": "true" }, bar),
          make("span", { class: "share" }, percent(share)));
      }),
    );
  }

  if (typeof document !== "undefined") {
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", mount);
    else queueMicrotask(mount);
  }
  return { data: null, make, part, unpack, showTip, hideTip, number, percent, votes };
})();

// In Node, where the arithmetic is tested, scripts are read one after another as one program.
if (typeof globalThis !== "undefined") globalThis.gridcnn = gridcnn;
