/* Items as they look: a picture, a curve, a text, a sound, and what was answered. */
"use strict";

(() => {
  const CURVE_WIDTH = 180, CURVE_HEIGHT = 60;

  function named(number) {
    const names = gridcnn.data.classes;
    if (!Array.isArray(number)) return names[number];
    return number.length ? number.map((each) => names[each]).join(", ") : "no label";
  }

  /* One line for each channel of a grid of one row. */
  function curves(rows, label) {
    const space = "http://www.w3.org/2000/svg";
    const known = rows.flat().filter((value) => value !== null);
    const low = Math.min(...known), span = (Math.max(...known) - low) || 1;
    const picture = document.createElementNS(space, "svg");
    const attributes = { viewBox: `0 0 ${CURVE_WIDTH} ${CURVE_HEIGHT}`, width: CURVE_WIDTH,
      height: CURVE_HEIGHT, role: "img", "aria-label": label };
    for (const [name, value] of Object.entries(attributes)) picture.setAttribute(name, value);
    rows.forEach((row, number) => {
      const line = document.createElementNS(space, "polyline");
      const step = (CURVE_WIDTH - 4) / Math.max(1, row.length - 1);
      line.setAttribute("points", row
        .map((value, place) => [2 + step * place, value])
        .filter(([, value]) => value !== null)
        .map(([x, value]) => `${x.toFixed(1)},${(CURVE_HEIGHT - 3 - (CURVE_HEIGHT - 6) * (value - low) / span).toFixed(1)}`)
        .join(" "));
      line.setAttribute("class", `curve-${number}`);
      line.setAttribute("fill", "none");
      line.setAttribute("stroke-width", "1.5");
      picture.append(line);
    });
    return picture;
  }

  /* The parts of a look, as elements; `label` is for those who cannot see it. */
  function look(shown, label, size = 128) {
    const parts = [];
    if (!shown) return [gridcnn.make("p", { class: "no-look quiet" }, "no picture is kept")];
    if (shown.picture) {
      const picture = gridcnn.make("img", { alt: label, src: shown.picture, class: "look" });
      // Few cells are drawn in whole pixels, so that all of them are equally large.
      const longest = Math.max(shown.rows, shown.columns);
      const scale = longest > 32 ? size / longest : Math.max(1, Math.floor(size / longest));
      const fit = Math.min(1, 2 * size / (shown.columns * scale), size / (shown.rows * scale));
      picture.style.width = `${Math.max(8, Math.round(shown.columns * scale * fit))}px`;
      picture.style.height = `${Math.max(8, Math.round(shown.rows * scale * fit))}px`;
      parts.push(picture);
    }
    if (shown.curves && shown.curves.length) parts.push(curves(shown.curves, label));
    if (shown.text !== undefined) {
      parts.push(gridcnn.make("blockquote", { class: "look-text" },
        shown.text === "" ? "(empty)" : shown.text, shown.cut ? "…" : ""));
    }
    if (shown.sound) {
      const heard = shown.cut ? `${label}: the first seconds of ${shown.seconds} s` : `${label}: ${shown.seconds} s`;
      parts.push(gridcnn.make("audio", { controls: true, preload: "none", src: shown.sound, "aria-label": heard }));
    }
    return parts;
  }

  function item(number) {
    const each = gridcnn.data.items[number];
    const wrong = String(each.truth) !== String(each.answer);
    const votes = each.votes.map(([place, vote]) => `${gridcnn.data.classes[place]} ${vote.toFixed(3)}`).join(", ");
    return gridcnn.make("figure", { class: wrong ? "item mistaken" : "item" },
      ...look(each.look, `${each.name}, truth ${named(each.truth)}`),
      gridcnn.make("figcaption", {},
        gridcnn.make("span", { class: "item-name", title: each.name }, each.name),
        gridcnn.make("span", {}, "truth ", gridcnn.make("strong", {}, named(each.truth))),
        gridcnn.make("span", {}, "answer ", gridcnn.make("strong", {}, named(each.answer))),
        gridcnn.make("span", { class: "quiet" }, votes)));
  }

  function items(element, numbers) {
    element.classList.add("items");
    element.replaceChildren(...numbers.map(item));
  }

  gridcnn.part("items", (element, data) => items(element, data[element.dataset.items]));
  gridcnn.part("examples", (element, data) => {
    element.classList.add("classes");
    for (const { name, looks } of data.examples) {
      const row = gridcnn.make("div", { class: "items" },
        ...looks.map((each, place) => gridcnn.make("figure", { class: "item example" }, ...look(each, `${name}, example ${place + 1}`, 72))));
      element.append(gridcnn.make("section", {}, gridcnn.make("h4", {}, name), row));
    }
  });
  gridcnn.showItems = items;
})();
