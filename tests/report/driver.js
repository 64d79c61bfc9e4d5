/* Runs the scripts of a page in Node: a question as JSON on each line of the input, its answer on a
   line of the output. The arguments are the scripts, in their order. */
"use strict";

const fs = require("fs");
const readline = require("readline");
const vm = require("vm");

const program = process.argv.slice(2).map((file) => fs.readFileSync(file, "utf8")).join("\n");
vm.runInThisContext(program, { filename: "page.js" });
const { gridcnn } = globalThis;

let model = null;

function opened(item) {
  if (item === null || typeof item !== "object" || Array.isArray(item)) return item;
  const plain = gridcnn.unpack(item);
  if (plain.wave) return gridcnn.sounds.wave(bytes(plain.wave).buffer);
  if (plain.npy) return gridcnn.adapters.stored(bytes(plain.npy).buffer);
  if (plain.numbers !== undefined) return gridcnn.adapters.numbersIn(plain.numbers);
  if (plain.jpeg) return gridcnn.pixels.jpegItem(model.adapter, bytes(plain.jpeg));
  if (plain.array !== undefined) return gridcnn.adapters.arrayIn(plain.array);
  if (plain.data) plain.data = bytes(plain.data);
  if (plain.samples && plain.samples.values) plain.samples = plain.samples.values;
  return plain;
}

function bytes(text) {
  return Uint8Array.from(Buffer.from(text, "base64"));
}

function answered(item) {
  const { grid } = gridcnn.adapters.adapt(model, opened(item));
  return { grid: Array.from(grid.cells), ...computed(grid) };
}

function computed(grid) {
  const values = gridcnn.arithmetic.forward(model.network, model.parameters.values, grid);
  const logits = values[model.network.result].cells;
  const votes = gridcnn.arithmetic.votes(logits, model.several);
  return { maps: values.map(({ cells }) => Array.from(cells)), votes: votes && Array.from(votes) };
}

const QUESTIONS = {
  model: ({ data }) => { model = gridcnn.unpack(data); },
  item: ({ item }) => answered(item),
  votes: ({ item }) => answered(item).votes,
  cells: ({ cells }) => computed(gridcnn.arithmetic.grid(...model.shape, Float32Array.from(cells))),
  match: ({ cells, op, at }) => gridcnn.arithmetic.matchAt(
    model.network.ops[op], model.parameters.values,
    gridcnn.arithmetic.grid(...model.shape, Float32Array.from(cells)), ...at,
  ),
  election: ({ cells, label }) => {
    const grid = gridcnn.arithmetic.grid(...model.shape, Float32Array.from(cells));
    const values = gridcnn.arithmetic.forward(model.network, model.parameters.values, grid);
    const op = model.network.ops.at(-1);
    const found = gridcnn.arithmetic.election(
      op, model.parameters.values, values[op.sources[0]], label,
    );
    return { ...found, cells: Array.from(found.cells) };
  },
  jpeg: ({ file, scale, grey }) => {
    const opened = gridcnn.jpeg.open(bytes(file));
    const picture = opened && gridcnn.jpeg.decode(opened, { scale, grey });
    return picture && { ...picture, planes: picture.planes.map((plane) => Array.from(plane)) };
  },
  resample: ({ samples, rate, wanted, count, tables }) => Array.from(gridcnn.sounds.resampled(
    Float32Array.from(samples), rate, wanted, 0, count, gridcnn.unpack(tables),
  )),
};

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const question = JSON.parse(line);
  let answer;
  try {
    answer = { answer: QUESTIONS[question.ask](question) };
  } catch (error) {
    answer = error instanceof gridcnn.Problem ? { problem: error.message } : { fault: error.stack };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
});
