/* What the features of a network look for, layer by layer: mini-images, best matches, made inputs. */
"use strict";

(() => {
  const { make, number } = gridcnn;

  function picture(shown, text) {
    const image = make("img", { class: "patches", src: shown.address, alt: text });
    image.style.width = `${shown.width}px`;
    image.style.height = `${shown.height}px`;
    return image;
  }

  function miniature(feature) {
    const { cells, limit, rows: names } = feature.weights;
    const [channels, rows, columns] = cells.shape;
    const size = rows * columns;
    const views = [];
    for (let channel = 0; channel < channels; channel += 1) {
      const of = channels > 1 ? `, channel ${channel + 1}` : "";
      const figure = gridcnn.gridView({
        values: cells.values.subarray(channel * size, (channel + 1) * size), rows, columns, limit, size: 96,
        label: `feature ${feature.number + 1}${of}`,
        tell: (row, column, value) => `${names ? `${names[row]}, ` : `row ${row + 1}, `}column ${column + 1}: ${number(value)}`,
      });
      views.push(gridcnn.sized(figure, ...gridcnn.extent(rows, columns, names ? 84 : 96, 18)));
    }
    if (!names) return make("div", { class: "grids" }, ...views);
    return make("div", { class: "named" }, make("div", { class: "names", "aria-hidden": "true" },
      ...names.map((name) => make("span", {}, name))), ...views);
  }

  function cardOf(feature) {
    const card = make("section", { class: "feature", "aria-label": `feature ${feature.number + 1}` }, make("h3", {}, `Feature ${feature.number + 1}`));
    const parts = make("div", { class: "grids" });
    const add = (title, ...content) => parts.append(make("div", {}, make("p", { class: "quiet" }, title), ...content));
    if (feature.weights) add(feature.weights.rows ? "weighs most" : "mini-image", miniature(feature));
    const texts = feature.patches.filter((patch) => patch.text !== null);
    if (texts.length) {
      add("best matches", make("ol", { class: "matches" }, ...texts.map((patch) => make("li", {}, make("code", {}, patch.text)))));
    } else if (feature.sheet) add("best matches", picture(feature.sheet, `the ${feature.patches.length} patches that match best`));
    else add("best matches", make("p", {}, "none"));
    if (feature.made) {
      add("made for it", feature.made.text !== undefined ? make("code", {}, feature.made.text)
        : picture(feature.made, "the input that gradient ascent made"));
    }
    card.append(parts);
    if (feature.patches.length) {
      card.append(make("details", {}, make("summary", {}, "Where"), make("ol", { class: "matches" },
        ...feature.patches.map((patch) => make("li", {}, `${patch.name}: ${patch.place}; ${number(patch.value)}`))),
      make("p", { class: "quiet" }, `The input made for it reaches ${number(feature.madeValue)} before what follows the convolution.`)));
    }
    return card;
  }

  function layerOf(layer) {
    const shown = layer.features.length;
    const said = shown < layer.count ? ` The ${shown} with the best matches are drawn.` : " The one with the best match comes first.";
    return make("section", {}, make("h2", {}, layer.label),
      make("p", {}, layer.text + said), make("p", {}, `${layer.dead} ${layer.duplicates}`),
      make("div", { class: "cards" }, ...layer.features.map(cardOf)));
  }

  gridcnn.part("features", (element, data) => {
    const limits = data.layers.some((layer) => layer.onGrid) ? [gridcnn.scaleBar(1, "mini-images, from the strongest negative weight to the strongest positive one of the layer")] : [];
    element.append(...limits, ...data.layers.map(layerOf));
  });
})();
