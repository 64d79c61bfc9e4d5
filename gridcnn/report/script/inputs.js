/* How a user gives an item: by drawing, recording, typing, or as a file. One function for each kind
   of adapter; it fills an element with what can be pressed, and calls `give(item)` with every new
   item, null if there is none any more. `fail(error)` shows what is wrong with an item. */
"use strict";

(() => {
  const { make } = gridcnn;

  // Pictures -------------------------------------------------------------------------------------

  const SIDE = 280; // pixels of the drawing
  const PENS = [["thin", 8], ["medium", 16], ["thick", 28]];

  function picture(element, model, { give, fail }) {
    const { adapter } = model;
    const canvas = make("canvas", {
      class: "drawing", width: SIDE, height: SIDE, tabindex: "0", role: "application",
      "aria-label": "Drawing. Draw with the mouse or a finger; or move the pen by the arrow keys, "
        + "and put it down and lift it by the space bar.",
    });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    const hint = make("p", { class: "hint", "aria-hidden": "true" }, "Draw here");
    const board = make("div", { class: "board" }, canvas, hint);
    const strokes = []; // [{width, points: [[x, y], ...]}]
    const pen = {
      width: PENS[1][1],
      // Ink is found on any paper; else bright strokes on black are the most usual.
      dark: adapter.polarity !== "keep",
      x: SIDE / 2, y: SIDE / 2, down: false,
    };
    let file = null;

    function paint() {
      context.fillStyle = pen.dark ? "#fff" : "#000";
      context.strokeStyle = pen.dark ? "#000" : "#fff";
      context.fillRect(0, 0, SIDE, SIDE);
      context.lineCap = context.lineJoin = "round";
      for (const { width, points } of strokes) {
        context.lineWidth = width;
        context.beginPath();
        context.moveTo(...points[0]);
        for (const point of points.length > 1 ? points.slice(1) : points) context.lineTo(...point);
        context.stroke();
      }
      hint.classList.toggle("hidden", strokes.length > 0 || file !== null);
      hint.classList.toggle("on-dark", !pen.dark);
      give(strokes.length ? gridcnn.files.pixelsOf(canvas) : null);
    }
    function begin(x, y) {
      file = null;
      strokes.push({ width: pen.width, points: [[x, y]] });
      paint();
    }
    function extend(x, y) {
      strokes.at(-1).points.push([x, y]);
      paint();
    }
    function placeOf(event) {
      const box = canvas.getBoundingClientRect();
      return [((event.clientX - box.left) / box.width) * SIDE, ((event.clientY - box.top) / box.height) * SIDE];
    }
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      begin(...placeOf(event));
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!canvas.hasPointerCapture(event.pointerId)) return;
      const all = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
      for (const each of all.length ? all : [event]) strokes.at(-1).points.push(placeOf(each));
      paint();
    });
    canvas.addEventListener("keydown", (event) => {
      const steps = { ArrowUp: [0, -8], ArrowDown: [0, 8], ArrowLeft: [-8, 0], ArrowRight: [8, 0] };
      if (event.key === " ") {
        event.preventDefault();
        pen.down = !pen.down;
        if (pen.down) begin(pen.x, pen.y);
      }
      if (!(event.key in steps)) return;
      event.preventDefault();
      pen.x = Math.max(0, Math.min(SIDE, pen.x + steps[event.key][0]));
      pen.y = Math.max(0, Math.min(SIDE, pen.y + steps[event.key][1]));
      if (pen.down) extend(pen.x, pen.y);
      gridcnn.showTip(`pen ${pen.down ? "down" : "up"} at ${pen.x}, ${pen.y}`, ...cursor());
    });
    canvas.addEventListener("blur", gridcnn.hideTip);
    function cursor() {
      const box = canvas.getBoundingClientRect();
      return [box.left + (pen.x / SIDE) * box.width, box.top + (pen.y / SIDE) * box.height];
    }

    async function take(chosen) {
      try {
        const { item, canvas: shown } = await gridcnn.files.picture(chosen, adapter);
        strokes.length = 0;
        file = chosen;
        context.fillStyle = "#888";
        context.fillRect(0, 0, SIDE, SIDE);
        const scale = SIDE / Math.max(shown.width, shown.height);
        const [wide, high] = [shown.width * scale, shown.height * scale];
        context.drawImage(shown, (SIDE - wide) / 2, (SIDE - high) / 2, wide, high);
        hint.classList.add("hidden");
        give(item);
      } catch (error) {
        fail(error);
      }
    }
    const pens = make("select", {
      "aria-label": "Pen", onchange: () => { pen.width = Number(pens.value); },
    }, ...PENS.map(([name, width]) => make(
      "option", { value: width, selected: width === pen.width }, `${name} pen`,
    )));
    const paper = make("button", {
      type: "button", "aria-pressed": String(!pen.dark),
      onclick: () => {
        pen.dark = !pen.dark;
        paper.setAttribute("aria-pressed", String(!pen.dark));
        if (file === null) paint();
      },
    }, "White on black");
    const undo = make("button", {
      type: "button",
      onclick: () => {
        strokes.pop();
        file = null;
        paint();
      },
    }, "Undo");
    const clear = make("button", {
      type: "button",
      onclick: () => {
        strokes.length = 0;
        file = null;
        paint();
      },
    }, "Clear");
    const saving = make("button", {
      type: "button",
      title: "Save the drawing as a file, as gridcnn predict reads it",
      onclick: () => canvas.toBlob((blob) => gridcnn.files.save(blob, "drawing.png")),
    }, "Save");
    const choose = gridcnn.files.chooser(element, { accept: "image/*", label: "Choose a picture", take });
    element.append(
      board, make("div", { class: "tools" }, pens, paper, undo, clear, saving, ...choose),
      make("p", { class: "quiet" }, "Or drop a picture here, or paste one."),
    );
    paint();
  }

  // Sounds ---------------------------------------------------------------------------------------

  const LONGEST = 30; // seconds of a recording

  function sound(element, model, { give, fail }) {
    const { adapter } = model;
    const player = make("audio", { controls: true, class: "hidden", "aria-label": "The sound" });
    const wave = make("canvas", { class: "wave", width: 560, height: 90, role: "img",
      "aria-label": "The wave of the sound" });
    const state = make("p", { class: "quiet", role: "status" },
      `The model hears ${(adapter.samples / adapter.sample_rate).toFixed(2)} s. Record something, `
      + "choose a file, or drop one here.");
    let recorder = null;

    async function take(file) {
      try {
        const clip = await gridcnn.files.sound(file);
        if (player.src) URL.revokeObjectURL(player.src);
        player.src = URL.createObjectURL(file);
        player.classList.remove("hidden");
        saving.disabled = false;
        saving.clip = clip;
        draw(clip.samples);
        state.textContent = `${file.name || "The recording"}: ${(clip.samples.length / clip.rate).toFixed(2)} s `
          + `at ${clip.rate} samples a second`;
        give(clip);
      } catch (error) {
        fail(error);
      }
    }
    function draw(samples) {
      const context = wave.getContext("2d");
      const { width, height } = wave;
      context.clearRect(0, 0, width, height);
      context.fillStyle = getComputedStyle(wave).color;
      const loudest = samples.reduce((most, each) => Math.max(most, Math.abs(each)), 0) || 1;
      for (let x = 0; x < width; x += 1) {
        let [low, high] = [0, 0];
        const stop = Math.floor(((x + 1) * samples.length) / width);
        for (let i = Math.floor((x * samples.length) / width); i < stop; i += 1) {
          low = Math.min(low, samples[i]);
          high = Math.max(high, samples[i]);
        }
        const scale = height / 2 / loudest;
        context.fillRect(x, height / 2 - scale * high, 1, Math.max(1, scale * (high - low)));
      }
    }
    async function record() {
      if (recorder) {
        recorder.stop();
        return;
      }
      try {
        if (!navigator.mediaDevices || !window.MediaRecorder) {
          throw new gridcnn.Problem("this browser does not record here; choose a file instead");
        }
        const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
        const parts = [];
        recorder = new MediaRecorder(stream);
        recorder.addEventListener("dataavailable", (event) => parts.push(event.data));
        recorder.addEventListener("stop", () => {
          const { mimeType } = recorder;
          recorder = null;
          stream.getTracks().forEach((track) => track.stop());
          button.textContent = "Record";
          button.setAttribute("aria-pressed", "false");
          take(new Blob(parts, { type: mimeType }));
        });
        recorder.start();
        setTimeout(() => recorder && recorder.stop(), 1000 * LONGEST);
        button.textContent = "Stop";
        button.setAttribute("aria-pressed", "true");
        state.textContent = "Recording. Press Stop when you are done.";
      } catch (error) {
        recorder = null;
        fail(error instanceof gridcnn.Problem ? error : new gridcnn.Problem(
          "the microphone cannot be used; allow it in the browser, or choose a file",
        ));
      }
    }
    const button = make("button", { type: "button", class: "main", onclick: record }, "Record");
    const saving = make("button", {
      type: "button", disabled: true,
      title: "Save the sound as a file, as gridcnn predict reads it",
      onclick: () => gridcnn.files.save(
        new Blob([gridcnn.sounds.waveFile(saving.clip)], { type: "audio/wav" }), "sound.wav",
      ),
    }, "Save");
    const choose = gridcnn.files.chooser(element, { accept: "audio/*", label: "Choose a sound", take });
    element.append(
      make("div", { class: "tools" }, button, ...choose, saving), wave, player, state,
    );
  }

  // Texts, molecules and numbers -----------------------------------------------------------------

  /* A field for writing; `read` makes an item of what it holds. */
  function writing(element, { label, value, rows, note, read }, { give, fail }) {
    const id = `written-${document.querySelectorAll("textarea").length}`;
    const field = make("textarea", { id, rows, spellcheck: "false", autocomplete: "off",
      autocapitalize: "off" });
    field.value = value;
    function update() {
      try {
        give(field.value === "" ? null : read(field.value));
      } catch (error) {
        fail(error);
      }
    }
    field.addEventListener("input", update);
    element.append(make("label", { for: id }, label), field);
    if (note) element.append(make("p", { class: "quiet" }, note));
    update();
    return { field, update };
  }

  function text(element, model, calls) {
    const { adapter } = model;
    const { field, update } = writing(element, {
      label: "Type or paste it", rows: "5", value: "Type or paste a text here.",
      note: `The model reads ${adapter.length} ${adapter.unit}s; of a longer text it cuts the `
        + `${adapter.cut === "middle" ? "middle" : adapter.cut}.`,
      read: (written) => written,
    }, calls);
    const choose = gridcnn.files.chooser(element, {
      accept: "text/plain", label: "Choose a text file",
      take: async (file) => {
        field.value = await file.text();
        update();
      },
    });
    element.append(make("div", { class: "tools" }, ...choose));
  }

  function molecule(element, model, calls) {
    writing(element, {
      label: "A molecule, as SMILES", rows: "2", value: "CC(=O)Oc1ccccc1C(=O)O",
      note: `The model reads ${model.adapter.length} tokens; of a longer molecule it cuts the end.`,
      read: (written) => written,
    }, calls);
  }

  function table(element, model, calls) {
    const { adapter } = model;
    const count = model.shape.reduce((product, each) => product * each, 1);
    const usual = adapter.means && adapter.means.length === count ? adapter.means : null;
    const start = usual || Array.from({ length: count }, (_, i) => Math.sin((6 * i) / count));
    writing(element, {
      label: `${count} numbers`, rows: "6",
      value: start.map((each) => String(Number(each.toPrecision(4)))).join(", "),
      note: `Between them stand commas, semicolons, tabs or spaces.${
        usual ? " These are the means of the training data." : " This wave is an example."}`,
      read: gridcnn.adapters.numbersIn,
    }, calls);
  }

  function array(element, model, calls) {
    const [channels, rows, columns] = model.shape;
    const sizes = [...(channels > 1 ? [channels] : []), rows, columns];
    const { low, high } = model.adapter;
    const middle = low === null ? 0 : Number(((low + high) / 2).toPrecision(4));
    const blank = (left) => (left.length ? Array(left[0]).fill(blank(left.slice(1))) : middle);
    const { field } = writing(element, {
      label: `Numbers of ${sizes.join(" x ")}`, rows: "8",
      value: JSON.stringify(blank(sizes)).replaceAll("],[", "],\n["),
      note: "As lists of lists, or a line for each row; or drop an array of NumPy (.npy) here.",
      read: gridcnn.adapters.arrayIn,
    }, calls);
    const choose = gridcnn.files.chooser(element, {
      accept: ".npy", label: "Choose an array",
      take: async (file) => {
        try {
          calls.give(gridcnn.adapters.stored(await file.arrayBuffer()));
          field.value = "";
          field.placeholder = file.name;
        } catch (error) {
          calls.fail(error);
        }
      },
    });
    element.append(make("div", { class: "tools" }, ...choose));
  }

  gridcnn.inputs = { image: picture, audio: sound, text, molecule, table, array };
})();
