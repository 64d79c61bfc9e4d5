/* The page of a server: an item is drawn, chosen, recorded or typed, and the server answers.

   Nothing is computed here. Every new item is sent to /models/NAME/predict; while an answer is
   awaited, only the latest item waits to be sent next. */
"use strict";

(() => {
  const { make } = gridcnn;
  const MOST_BARS = 10; // classes whose votes are shown

  const TITLES = {
    image: "Your picture", audio: "Your sound", text: "Your text", molecule: "Your molecule",
    table: "Your row of numbers", array: "Your array",
  };

  // What is sent ---------------------------------------------------------------------------------

  function pictureFile({ width, height, data, file }) {
    if (file) return file; // as it was chosen, since browsers decode otherwise
    const canvas = make("canvas", { width, height });
    canvas.getContext("2d").putImageData(new ImageData(data, width, height), 0, 0);
    return new Promise((done) => canvas.toBlob(done, "image/png"));
  }

  function nested(values, shape) {
    if (!shape.length) return Number.isFinite(values[0]) ? values[0] : null;
    const size = values.length / shape[0];
    return Array.from({ length: shape[0] }, (_, i) => (
      nested(values.slice(i * size, (i + 1) * size), shape.slice(1))));
  }

  const asJson = (item) => new Blob([JSON.stringify({ item })], { type: "application/json" });

  /* The body of a request for each kind of adapter. */
  const BODIES = {
    image: pictureFile,
    audio: (clip) => new Blob([gridcnn.sounds.waveFile(clip)], { type: "audio/wav" }),
    text: asJson,
    molecule: asJson,
    table: (numbers) => asJson(nested(numbers, [numbers.length])),
    array: ({ shape, values }) => asJson(nested(Array.from(values), shape)),
    file: (file) => file,
  };

  // Asking ---------------------------------------------------------------------------------------

  let token = sessionStorage.getItem("gridcnn-token") || "";

  /* Ask the server; what it refuses is a Problem with its own line. */
  async function ask(path, body = null) {
    let answer;
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    try {
      answer = await fetch(path, body ? { method: "POST", body, headers } : { headers });
    } catch {
      throw new gridcnn.Problem("the server does not answer; is it still running?");
    }
    if (answer.ok) return answer;
    let lines = [];
    try {
      lines = (await answer.json()).errors;
    } catch {
      lines = [`the server answers ${answer.status}`];
    }
    const problem = new gridcnn.Problem(lines.join("; "));
    problem.status = answer.status;
    throw problem;
  }

  // The page -------------------------------------------------------------------------------------

  function mount(element) {
    const problem = make("p", { class: "problem hidden", role: "alert" });
    const choice = make("div", { class: "tools" });
    const asking = make("div");
    let wanted = null; // the name of the model that was chosen last
    element.append(problem, choice, asking);

    function fail(error) {
      if (!(error instanceof gridcnn.Problem)) throw error;
      problem.textContent = error.message;
      problem.classList.remove("hidden");
    }
    function clear() {
      problem.classList.add("hidden");
    }

    async function begin() {
      try {
        const { models } = await (await ask("models")).json();
        clear();
        choose(models);
      } catch (error) {
        if (error.status === 401) askToken();
        else fail(error);
      }
    }

    function askToken() {
      const field = make("input", { type: "password", id: "token", autocomplete: "off" });
      const form = make("div", { class: "tools" },
        make("label", { for: "token" }, "Token of this server"), field,
        make("button", { type: "button", class: "main", onclick: go }, "Go on"));
      field.addEventListener("keydown", (event) => event.key === "Enter" && go());
      choice.replaceChildren(form);
      if (token) fail(new gridcnn.Problem("the token is wrong"));
      field.focus();
      function go() {
        token = field.value;
        sessionStorage.setItem("gridcnn-token", token);
        begin();
      }
    }

    function choose(models) {
      choice.replaceChildren();
      if (models.length > 1) {
        const select = make("select", { id: "model", onchange: () => show(select.value) },
          ...models.map((name) => make("option", { value: name }, name)));
        choice.append(make("label", { for: "model" }, "Model"), select);
      }
      show(models[0]);
    }

    async function show(name) {
      wanted = name;
      asking.replaceChildren();
      clear();
      try {
        const about = await (await ask(`models/${encodeURIComponent(name)}`)).json();
        // Another model may have been chosen in the meantime.
        if (name === wanted) asking.replaceChildren(...panels(about, { fail, clear }));
      } catch (error) {
        fail(error);
      }
    }

    begin();
  }

  /* The input of one model, its answers, and the explanation of the last item. */
  function panels(about, { fail, clear }) {
    const { grid } = about;
    const known = about.adapter in gridcnn.inputs;
    const kind = known ? about.adapter : "file";
    const model = {
      adapter: { ...about.input, kind, samples: about.input.duration * about.input.sample_rate },
      shape: [grid.channels, grid.rows, grid.columns],
    };
    const input = make("section", { class: "live-input", "aria-label": TITLES[kind] || "Your file" },
      make("h2", {}, TITLES[kind] || "Your file"));
    const answer = make("p", { class: "live-answer" });
    const spoken = make("p", { class: "quiet", role: "status" });
    const bars = make("ul", { "aria-label": "Votes" });
    const explain = make("button", { type: "button", disabled: true, onclick: explainLast },
      "Explain this answer");
    const answers = make("section", { class: "live-votes", "aria-label": "The answer" },
      make("h2", {}, "The answer"), answer, bars, spoken, make("div", { class: "tools" }, explain));
    const explanation = make("section", { class: "hidden", "aria-label": "The explanation" });
    let latest = null;
    let waiting = null;
    let busy = false;

    function give(item) {
      latest = waiting = item;
      explain.disabled = item === null;
      if (item === null) {
        answer.textContent = "Waiting for something to look at.";
        spoken.textContent = "";
        bars.replaceChildren();
        clear();
      } else if (!busy) send();
    }

    async function send() {
      busy = true;
      while (waiting !== null) {
        const item = waiting;
        waiting = null;
        try {
          const body = await BODIES[kind](item);
          const start = performance.now();
          const path = `models/${encodeURIComponent(about.name)}/predict`;
          const found = await (await ask(path, body)).json();
          if (latest !== null) tell(found, performance.now() - start);
        } catch (error) {
          answer.textContent = "No answer.";
          spoken.textContent = "";
          bars.replaceChildren();
          fail(error);
        }
      }
      busy = false;
    }

    function tell(found, milliseconds) {
      clear();
      const [first] = found.answers;
      const names = about.several ? first.answer : [first.answer];
      const pairs = Object.entries(first.votes);
      const sorted = [...pairs].sort((one, other) => other[1] - one[1]);
      gridcnn.votes(bars, sorted.slice(0, MOST_BARS), names.map(String));
      if (pairs.length > MOST_BARS) {
        bars.append(make("li", { class: "more quiet" }, `and ${pairs.length - MOST_BARS} others with fewer votes`));
      }
      answer.textContent = names.join(", ") || "none of the labels";
      const notes = (found.notes || []).map((note) => `; ${note}`).join("");
      spoken.textContent = `${answer.textContent}, answered in ${Math.round(milliseconds)} ms${notes}`;
    }

    async function explainLast() {
      explain.disabled = true;
      explain.textContent = "Explaining…";
      try {
        const body = await BODIES[kind](latest);
        const page = await ask(`models/${encodeURIComponent(about.name)}/explain`, body);
        const place = page.headers.get("content-location").slice(1); // beside this page
        const frame = make("iframe", { src: place, class: "inside", title: "The explanation",
          sandbox: "allow-scripts" });
        explanation.replaceChildren(make("h2", {}, "How the model came to this answer"), frame,
          make("p", {}, make("a", { href: place, target: "_blank", rel: "noopener" },
            "Open it on a page of its own")));
        explanation.classList.remove("hidden");
        explanation.scrollIntoView({ block: "nearest" });
      } catch (error) {
        fail(error);
      }
      explain.textContent = "Explain this answer";
      explain.disabled = latest === null;
    }

    function refuse(error) {
      give(null);
      fail(error);
    }

    if (known) gridcnn.inputs[kind](input, model, { give, fail: refuse });
    else {
      const accept = about.endings.join(",");
      const choose = gridcnn.files.chooser(input, { accept, label: "Choose a file", take: give });
      input.append(make("div", { class: "tools" }, ...choose),
        make("p", { class: "quiet" }, "Or drop one here."));
    }
    give(latest);
    const classes = about.classes.length > 12
      ? `${about.classes.slice(0, 12).join(", ")} and ${about.classes.length - 12} more`
      : about.classes.join(", ");
    const told = [`${about.name}: ${about.description || "a model"}`, `It answers: ${classes}.`];
    return [...told.map((line) => make("p", { class: "quiet" }, line)),
      make("div", { class: "live-head long" }, input, answers), explanation];
  }

  gridcnn.part("serve", mount);
})();
