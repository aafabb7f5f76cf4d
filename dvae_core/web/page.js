// The exported page: boards of one or two runs, their start, heat maps, scores and settings.
//
//   data    what page.py has written
//   state   what the link restores: the start, the codes where they differ from it, the latent
//
// All texts are set as text. Nothing is fetched.

const THEMES = ["auto", "light", "dark"];
const data = JSON.parse(document.getElementById("data").textContent);
const starts = [
  ...data.starts.map((start, index) => ({ ...start, kind: "image", index })),
  ...data.runs[0].prior.map((_, index) => ({ label: `prior sample ${index}`, kind: "prior", index })),
].filter(({ kind }) => kind === "prior" || data.runs.every((run) => run.images.length));

class Page {
  state = { start: 0, codes: data.runs.map(() => null), latents: data.runs.map(() => null) };
  past = []; // states before each move
  future = []; // states that were undone
  answered = data.runs.map(() => 0);

  constructor(root) {
    root.append(
      this.header(),
      (this.note = element("p", { class: "note", role: "status", hidden: "" })),
      this.picker(),
      (this.boards = element("div", { class: "page-boards" })),
      element("h2", {}, ["Mutual information"]),
      this.explanation(),
      (this.maps = element("div", { class: "page-maps" })),
      ...this.scores(),
      ...this.settings(),
      element("p", { class: "words" }, [
        "This file holds the decoders and needs no network. Made with dVAE Explorer.",
      ]),
    );
    this.tell(data.missing);
    const parts = data.runs.map((run, side) => {
      const parent = element("section", { class: "page-board" }, [
        element("h2", {}, [run.name]),
        element("p", { class: "words" }, [run.words]),
      ]);
      this.boards.append(parent);
      if (run.information.factors.length) this.maps.append(this.map(run, side));
      return new Board(parent, {
        release: (event) => this.release(side, event),
        need: (_, error) =>
          this.tell(`This browser cannot run the decoder: ${error?.message ?? "it has crashed"}.`),
      });
    });
    this.parts = parts;
    addEventListener("hashchange", () => this.read());
    addEventListener("keydown", (event) => this.keyDown(event));
    this.read();
  }

  // --- parts of the page

  header() {
    const theme = element("button", { class: "page-button", type: "button" });
    let current = "auto";
    const set = (name) => {
      current = name;
      if (name === "auto") delete document.documentElement.dataset.theme;
      else document.documentElement.dataset.theme = name;
      theme.textContent = `Theme: ${name}`;
    };
    set(current);
    theme.onclick = () => set(THEMES[(THEMES.indexOf(current) + 1) % THEMES.length]);
    const names = data.runs.map((run) => run.name).join(" and ");
    this.undoButton = element("button", { class: "page-button", type: "button", title: "Ctrl+Z" });
    this.undoButton.textContent = "Undo";
    this.undoButton.onclick = () => this.step(this.past, this.future);
    this.redoButton = element("button", { class: "page-button", type: "button", title: "Ctrl+Y" });
    this.redoButton.textContent = "Redo";
    this.redoButton.onclick = () => this.step(this.future, this.past);
    const about =
      "Each latent is one number of the code that the decoder turns into an image. Drag one: the " +
      "image follows, and so do the traversals of all others. Bars or curves: where the encoder " +
      "places the start image. Grey: all images of the data set. Dimmed: hardly occurs in the data.";
    return element("div", { class: "page-header", role: "banner" }, [
      element("div", {}, [
        element("h1", {}, [names]),
        ...(data.note ? [element("p", { class: "page-note" }, [data.note])] : []),
        element("p", {}, [about]),
      ]),
      element("nav", {}, [this.undoButton, this.redoButton, theme]),
    ]);
  }

  picker() {
    this.choices = starts.map((start, place) => {
      const choice = element("button", { type: "button", "aria-label": start.label });
      choice.title = start.label;
      if (start.image) choice.append(element("img", { src: start.image, alt: "" }));
      else choice.append(element("span", {}, [`prior ${start.index}`]));
      choice.onclick = () => this.change({ start: place, codes: data.runs.map(() => null) });
      return choice;
    });
    const label = element("span", { class: "words" }, [
      data.starts.length ? `Start from an image of ${data.dataset} or a sample of the prior` : "Start",
    ]);
    this.startLabel = element("span", { class: "words", role: "status" });
    return element("div", { class: "page-starts" }, [
      element("div", {}, [label, " ", this.startLabel]),
      element("div", { class: "choices", "data-testid": "starts" }, this.choices),
    ]);
  }

  explanation() {
    const { points } = data.runs[0].information;
    const words = data.runs.some((run) => run.information.factors.length)
      ? "How much each latent says about each true factor, as a share of the factor's entropy, " +
        `from ${points.toLocaleString("en")} images. A cell leads to its latent.`
      : "This data set has no true factors.";
    return element("p", { class: "words" }, [words]);
  }

  map({ name, information, board }, side) {
    const { factors, shares } = information;
    const head = element("tr", {}, [
      element("th", {}, []),
      ...factors.map((factor) => element("th", { scope: "col" }, [factor])),
    ]);
    const rows = board.rows.map((row) => {
      const cells = factors.map((factor, at) => {
        const share = shares[row.latent][at];
        const percent = `${Math.round(100 * share)} %`;
        const cell = element("button", { type: "button" }, [percent]);
        cell.setAttribute("aria-label", `${row.name}, ${factor}: ${percent}`);
        cell.dataset.testid = `cell-${side}-${row.latent}-${at}`;
        cell.style.setProperty("--share", Math.min(1, Math.max(0, share)));
        if (share > 0.5) cell.classList.add("dark");
        cell.onclick = () => this.choose(side, row.latent);
        return element("td", {}, [cell]);
      });
      return element("tr", {}, [element("th", { scope: "row" }, [row.name]), ...cells]);
    });
    return element("div", { class: "page-map" }, [
      element("table", { "aria-label": `mutual information of ${name}` }, [
        element("caption", {}, [name]),
        element("thead", {}, [head]),
        element("tbody", {}, rows),
      ]),
    ]);
  }

  scores() {
    if (!data.scores.length) return [];
    const number = (value) => (value === null ? "—" : value.toFixed(3));
    const rows = data.scores.map(({ label, meaning, protocol, values, measured }) =>
      element("tr", {}, [
        element("th", { scope: "row", title: meaning }, [label]),
        element("td", {}, [protocol]),
        ...values.map((value) => element("td", { class: "number" }, [number(value)])),
        element("td", { class: "words" }, [[...new Set(measured.filter(Boolean))].join(" | ")]),
      ]),
    );
    return [
      element("h2", {}, ["Scores"]),
      table(["score", "protocol", ...this.runNames(), "measured on"], rows),
    ];
  }

  settings() {
    const rows = data.settings.map(([name, ...values]) => {
      const differs = new Set(values).size > 1;
      return element("tr", differs ? { class: "differs" } : {}, [
        element("th", { scope: "row" }, [name]),
        ...values.map((value) => element("td", {}, [value])),
      ]);
    });
    return [
      element("details", {}, [
        element("summary", {}, ["Settings of the training"]),
        table(["setting", ...this.runNames()], rows),
      ]),
    ];
  }

  runNames() {
    return data.runs.length === 1 ? ["value"] : data.runs.map((run) => run.name);
  }

  tell(words) {
    this.note.textContent = words;
    this.note.hidden = !words;
  }

  // --- moves

  release(side, { code, sequence }) {
    this.answered[side] = sequence;
    this.change({ codes: this.state.codes.map((each, at) => (at === side ? code : each)) });
  }

  choose(side, latent) {
    this.change({ latents: this.state.latents.map((each, at) => (at === side ? latent : each)) });
    const handle = this.parts[side].rows.get(latent).handle;
    handle.scrollIntoView({ block: "center" });
    handle.focus({ preventScroll: true });
  }

  change(changed) {
    this.past.push(this.state);
    this.future = [];
    this.show({ ...this.state, ...changed });
  }

  step(from, to) {
    if (!from.length) return;
    to.push(this.state);
    this.show(from.pop());
  }

  keyDown(event) {
    if (!event.ctrlKey && !event.metaKey) return;
    const key = event.key.toLowerCase();
    const redo = key === "y" || (key === "z" && event.shiftKey);
    if (!redo && key !== "z") return;
    event.preventDefault();
    if (redo) this.step(this.future, this.past);
    else this.step(this.past, this.future);
  }

  // --- what is shown

  show(state) {
    this.state = state;
    data.runs.forEach((run, side) => this.parts[side].receive(this.boardData(run, side)));
    this.choices.forEach((choice, place) =>
      choice.setAttribute("aria-pressed", String(place === state.start)),
    );
    this.startLabel.textContent = `· ${starts[state.start].label}`;
    this.undoButton.disabled = !this.past.length;
    this.redoButton.disabled = !this.future.length;
    this.write();
  }

  boardData({ board, images, prior }, side) {
    const { kind, index } = starts[this.state.start];
    const image = kind === "image" ? images[index] : null;
    const startCode = image ? image.code : prior[index];
    const code = this.state.codes[side] ?? startCode;
    const rows = board.rows.map((row, place) => ({
      ...row,
      start: startCode[row.latent],
      value: code[row.latent],
      chosen: row.latent === this.state.latents[side],
      posterior: image ? image.posteriors[place] : [],
      ...(image && { kl: image.kl[place], klOf: "the start image" }),
    }));
    return { ...board, session: "page", answered: this.answered[side], code, rows };
  }

  // --- the link: #start=3&code=0.1,-0.5&latent=2, with code2 and latent2 of a second run

  write() {
    const { start, codes, latents } = this.state;
    const parts = new URLSearchParams();
    if (start) parts.set("start", start);
    const digits = (value) => String(Number(value.toPrecision(6)));
    codes.forEach((code, side) => code && parts.set(named("code", side), code.map(digits).join(",")));
    latents.forEach((latent, side) => latent !== null && parts.set(named("latent", side), latent));
    const hash = parts.size ? `#${parts.toString().replaceAll("%2C", ",")}` : "#";
    if (hash !== (location.hash || "#")) history.replaceState(null, "", hash);
  }

  // What does not fit the page is left out.
  read() {
    const parts = new URLSearchParams(location.hash.slice(1));
    const start = Number(parts.get("start"));
    const codes = data.runs.map(({ board }, side) => {
      const code = (parts.get(named("code", side)) ?? "").split(",").map(Number);
      return code.length === board.code.length && code.every(isInRange(board)) ? code : null;
    });
    const latents = data.runs.map(({ board }, side) => {
      const text = parts.get(named("latent", side));
      const latent = Number(text);
      return text && board.rows.some((row) => row.latent === latent) ? latent : null;
    });
    this.show({ start: starts[start] ? start : 0, codes, latents });
  }
}

function named(name, side) {
  return side ? `${name}${side + 1}` : name;
}

function isInRange({ rows }) {
  const limits = new Map(rows.map(({ latent, values }) => [latent, values]));
  // Codes of images may lie beyond the traversal of a Gaussian latent.
  return (value, latent) => {
    const values = limits.get(latent);
    const slack = values.at(-1) - values[0];
    return Number.isFinite(value) && value >= values[0] - slack && value <= values.at(-1) + slack;
  };
}

function table(names, rows) {
  const heads = names.map((name) => element("th", { scope: "col" }, [name]));
  return element("div", { class: "page-table" }, [
    element("table", {}, [
      element("thead", {}, [element("tr", {}, heads)]),
      element("tbody", {}, rows),
    ]),
  ]);
}

new Page(document.getElementById("page"));
