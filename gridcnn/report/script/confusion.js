/* A confusion: its numbers are buttons that show their items, and arrow keys move between them. */
"use strict";

(() => {
  const KINDS = ["found", "missed", "false alarm", "rightly without"];

  function cellAt(row, column) {
    return gridcnn.data.cells.find((cell) => cell.row === row && cell.column === column);
  }

  function title(cell) {
    const names = gridcnn.data.classes;
    const what = gridcnn.data.several
      ? `${names[cell.row]}, ${KINDS[cell.column]}`
      : `truth ${names[cell.row]}, answer ${names[cell.column]}`;
    return `${what}: ${cell.count} ${cell.count === 1 ? "item" : "items"}`;
  }

  function show(row, column) {
    const place = document.getElementById("chosen");
    const cell = cellAt(row, column);
    if (!cell) {
      place.replaceChildren();
      return;
    }
    // Those with pictures stand first; names without one would push them out of sight.
    const seen = cell.items.filter((number) => gridcnn.data.items[number].look);
    const named = cell.items.filter((number) => !gridcnn.data.items[number].look);
    const list = gridcnn.make("div");
    gridcnn.showItems(list, seen);
    place.replaceChildren(gridcnn.make("h3", {}, title(cell)), list);
    if (named.length) {
      place.append(gridcnn.make("details", seen.length ? {} : { open: true },
        gridcnn.make("summary", {}, `${named.length} ${seen.length ? "more " : ""}without a picture`),
        gridcnn.make("p", { class: "quiet" },
          named.map((number) => gridcnn.data.items[number].name).join(", "))));
    }
    const more = cell.count - cell.items.length;
    if (more > 0) {
      place.append(gridcnn.make("p", { class: "quiet" }, `and ${more} more, which predictions.csv names`));
    }
  }

  function choose(button) {
    for (const each of document.querySelectorAll("[data-row][aria-pressed]")) each.removeAttribute("aria-pressed");
    button.setAttribute("aria-pressed", "true");
    show(Number(button.dataset.row), Number(button.dataset.column));
  }

  gridcnn.part("confusion", (table) => {
    const buttons = [...table.querySelectorAll("button")];
    const at = new Map(buttons.map((each) => [`${each.dataset.row},${each.dataset.column}`, each]));
    const rows = table.tBodies[0].rows.length, columns = table.tHead.rows[0].cells.length - 1;
    buttons.forEach((button, place) => {
      button.tabIndex = place ? -1 : 0;  // the table is one stop of the Tab key
      button.addEventListener("click", () => choose(button));
      button.addEventListener("keydown", (event) => {
        const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
        if (!(event.key in steps)) return;
        event.preventDefault();
        const [down, right] = steps[event.key];
        let row = Number(button.dataset.row) + down, column = Number(button.dataset.column) + right;
        while (row >= 0 && row < rows && column >= 0 && column < columns) {
          const next = at.get(`${row},${column}`);
          if (next) {
            button.tabIndex = -1;
            next.tabIndex = 0;
            next.focus();
            return;
          }
          row += down;
          column += right;
        }
      });
    });
  });

  gridcnn.part("confusion-list", (list) => {
    for (const button of list.querySelectorAll("button")) {
      button.addEventListener("click", () => choose(button));
    }
  });

  gridcnn.part("large-confusion", (element, data) => {
    const size = data.classes.length;
    const sums = new Array(size).fill(0);
    for (const cell of data.cells) sums[cell.row] += cell.count;
    const values = new Float32Array(size * size);
    for (const cell of data.cells) {
      // By the root of its part, so that single mistakes are still seen.
      const part = Math.sqrt(cell.count / sums[cell.row]);
      values[cell.row * size + cell.column] = cell.row === cell.column ? part : -part;
    }
    element.append(gridcnn.gridView({
      values, rows: size, columns: size, limit: 1, size: Math.min(560, 8 * size + 200),
      label: "Confusion matrix",
      tell: (row, column) => {
        const cell = cellAt(row, column);
        return cell ? title(cell) : `truth ${data.classes[row]}, answer ${data.classes[column]}: none`;
      },
      chosen: show,
    }));
  });
})();
