// Tools of the board that move several latents at once. They need a decoder in the browser.
//
//   Pad    two latents, by a point in a plane of images
//   Blend  all latents, on the straight line from the start to a second code

const PAD_SIDE = 7; // images along a side

class Tools {
  constructor(board) {
    this.pad = new Pad(board);
    this.blend = new Blend(board);
    this.board = board;
    this.root = element("div", { class: "tools", hidden: "" }, [this.blend.root, this.pad.root]);
  }

  // New data, perhaps of another model.
  update() {
    this.root.hidden = !this.board.source.isLive;
    if (this.root.hidden) return;
    this.pad.update();
    this.blend.update();
  }

  // The code has changed.
  follow() {
    if (this.root.hidden) return;
    this.pad.draw();
    this.blend.place();
  }
}

class Pad {
  turns = 0;
  latest = []; // by image: the turn that it was drawn in

  constructor(board) {
    this.board = board;
    this.toggle = element("button", { class: "fold", type: "button", "aria-expanded": "false" });
    this.toggle.textContent = "Drag two latents at once";
    this.toggle.dataset.testid = "pad-toggle";
    this.toggle.onclick = () => this.open(this.body.hidden);
    this.axes = ["x", "y"].map((axis) => {
      const select = element("select", { "aria-label": `latent along ${axis}` });
      select.onchange = () => {
        this.drawn = null;
        this.draw();
      };
      return select;
    });
    this.plane = element("canvas", { class: "plane", "aria-hidden": "true" });
    this.plane.dataset.testid = "pad-plane";
    this.knob = element("div", {
      class: "knob",
      tabindex: "0",
      role: "slider",
      "data-testid": "pad-knob",
    });
    this.square = element("div", { class: "pad" }, [this.plane, this.knob]);
    const label = (text, select) => element("label", {}, [text, select]);
    this.body = element("div", { class: "pad-body", hidden: "" }, [
      element("div", { class: "axes" }, [label("→ ", this.axes[0]), label("↑ ", this.axes[1])]),
      this.square,
    ]);
    this.root = element("div", { class: "pad-tool" }, [this.toggle, this.body]);
    this.square.onpointerdown = (event) => this.press(event);
    this.square.onpointermove = (event) => this.holds(event) && this.drag(event);
    this.square.onpointerup = (event) => this.holds(event) && board.commit();
    this.square.onpointercancel = this.square.onlostpointercapture = (event) => this.abandon(event);
    this.knob.onkeydown = (event) => this.keyDown(event);
    this.knob.onkeyup = () => this.hasKeys() && board.commitWhenQuiet();
    this.knob.onblur = () => this.hasKeys() && board.commit();
  }

  open(opens) {
    this.body.hidden = !opens;
    this.toggle.setAttribute("aria-expanded", String(opens));
    this.drawn = null;
    this.draw();
  }

  update() {
    const { rows } = this.board.data;
    this.root.hidden = rows.length < 2;
    const kept = this.axes.map((select) => Number(select.value || NaN));
    const known = new Set(rows.map((row) => row.latent));
    this.axes.forEach((select, axis) => {
      const options = rows.map(({ latent, name }) => {
        const option = element("option", { value: latent });
        option.textContent = name;
        return option;
      });
      select.replaceChildren(...options);
      select.value = known.has(kept[axis]) ? kept[axis] : rows[Math.min(axis, rows.length - 1)].latent;
    });
    this.draw();
  }

  get rows() {
    return this.axes.map((select) => this.board.rows.get(Number(select.value)));
  }

  // --- geometry: as on a track, the ends lie in the middle of the first and the last image

  share(row) {
    const { values } = row.facts;
    const share = (this.board.code[row.latent] - values[0]) / (values.at(-1) - values[0] || 1);
    return (0.5 + Math.min(1, Math.max(0, share)) * (PAD_SIDE - 1)) / PAD_SIDE;
  }

  valueAt(row, share) {
    const { values } = row.facts;
    const along = Math.min(1, Math.max(0, (share * PAD_SIDE - 0.5) / (PAD_SIDE - 1)));
    const stops = this.board.stops(row.facts);
    return stops[nearest(stops, values[0] + along * (values.at(-1) - values[0]))];
  }

  draw() {
    if (this.body.hidden) return;
    const { board } = this;
    const [x, y] = this.rows;
    this.knob.style.left = `${100 * this.share(x)}%`;
    this.knob.style.top = `${100 * (1 - this.share(y))}%`;
    const words = (row) => `${row.facts.name} ${shown(board.code[row.latent])}`;
    this.knob.setAttribute("aria-label", "two latents at once, by the arrow keys");
    this.knob.setAttribute("aria-valuenow", board.code[x.latent]);
    this.knob.setAttribute("aria-valuetext", `${words(x)}, ${words(y)}`);

    const others = board.code.map((value, at) => at !== x.latent && at !== y.latent && value);
    const wanted = [board.source.stateId, x.latent, y.latent, others].join(";");
    if (wanted === this.drawn) return;
    this.drawn = wanted;
    const turn = ++this.turns;
    const { width, height } = board.source;
    const codes = [];
    const places = Array.from({ length: PAD_SIDE }, (_, at) => (at + 0.5) / PAD_SIDE);
    const value = ({ facts: { values } }, place) => {
      const along = (place * PAD_SIDE - 0.5) / (PAD_SIDE - 1);
      return values[0] + along * (values.at(-1) - values[0]);
    };
    for (const down of places) {
      for (const across of places) {
        const code = board.code.with(y.latent, value(y, 1 - down));
        codes.push(...code.with(x.latent, value(x, across)));
      }
    }
    if (this.plane.width !== PAD_SIDE * width || this.plane.height !== PAD_SIDE * height) {
      this.plane.width = PAD_SIDE * width;
      this.plane.height = PAD_SIDE * height;
    }
    const context = this.plane.getContext("2d");
    board.source.showAll(board, "pad", codes, (at, canvas) => {
      if (turn < (this.latest[at] ?? 0)) return; // an older image came late
      this.latest[at] = turn;
      context.drawImage(canvas, (at % PAD_SIDE) * width, Math.floor(at / PAD_SIDE) * height);
    });
  }

  // --- pointers and keys

  press(event) {
    if (event.button !== 0 || !event.isPrimary) return;
    if (!this.board.take(this, { pointer: event.pointerId })) return;
    event.preventDefault();
    this.square.setPointerCapture(event.pointerId);
    this.knob.focus({ preventScroll: true });
    this.drag(event);
  }

  holds(event) {
    const { hand } = this.board;
    return hand?.owner === this && hand.pointer === event.pointerId;
  }

  drag(event) {
    const box = this.square.getBoundingClientRect();
    const [x, y] = this.rows;
    this.board.moveAll([
      [y.latent, this.valueAt(y, 1 - (event.clientY - box.top) / box.height)],
      [x.latent, this.valueAt(x, (event.clientX - box.left) / box.width)],
    ]);
  }

  // The browser took the pointer away: as if nothing had been touched.
  abandon(event) {
    if (!this.holds(event)) return;
    const { board } = this;
    board.moveAll(this.rows.map(({ latent }) => [latent, board.committed[latent]]));
    board.commit();
  }

  hasKeys() {
    const { hand } = this.board;
    return Boolean(hand?.keys) && hand.owner === this;
  }

  keyDown(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const { board } = this;
    const [x, y] = this.rows;
    const moved = ["ArrowUp", "ArrowDown", "PageUp", "PageDown"].includes(event.key) ? [y] : [x];
    const rows = event.key === "Escape" ? [x, y] : moved;
    const values = rows.map((row) => {
      const { facts, latent } = row;
      return [latent, target(event.key, board.stops(facts), facts.start, board.code[latent])];
    });
    if (values.some(([, value]) => value === undefined)) return;
    event.preventDefault();
    event.stopPropagation();
    if (!this.hasKeys() && !board.take(this, { keys: true })) return;
    clearTimeout(board.hand.quiet);
    board.moveAll(values);
  }
}

class Blend {
  constructor(board) {
    this.board = board;
    this.label = element("label", {});
    this.range = element("input", { type: "range", min: 0, max: 100, step: 1 });
    this.range.dataset.testid = "blend";
    this.root = element("div", { class: "blend", hidden: "" }, [this.label, this.range]);
    this.range.oninput = () => this.move();
    this.range.onchange = () => board.hand?.owner === this && board.commit();
  }

  update() {
    const { target } = this.board.data;
    this.root.hidden = !target;
    if (!target) return;
    this.label.textContent = target.label;
    this.range.setAttribute("aria-label", target.label);
    this.place();
  }

  // Differences of the target to the start, by latent with a row.
  get steps() {
    const { rows, target } = this.board.data;
    return rows.map(({ latent, start }) => [latent, start, target.code[latent] - start]);
  }

  // Where the code lies on the line, or the foot of its perpendicular.
  place() {
    if (this.root.hidden || this.board.hand?.owner === this) return;
    const { code } = this.board;
    const { steps } = this;
    const square = steps.reduce((sum, [, , step]) => sum + step * step, 0);
    const along = steps.reduce((sum, [latent, start, step]) => sum + (code[latent] - start) * step, 0);
    this.range.value = square ? Math.round((100 * along) / square) : 0;
  }

  move() {
    const { board } = this;
    if (board.hand?.owner !== this && !board.take(this, {})) return;
    const share = Number(this.range.value) / 100;
    board.moveAll(this.steps.map(([latent, start, step]) => [latent, start + share * step]));
  }
}
