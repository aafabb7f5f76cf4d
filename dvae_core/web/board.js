// The latent board. What a person sees while a handle moves is made here: by a decoder in the
// browser, or from frames that the server has rendered. Whoever uses the board hears of a move
// once, when the handle is let go.
//
//   const board = new Board(parent, { release, need });
//   board.receive(data);                                   // see board.py
//
//   source     where images come from: Frames of one code, or a BrowserDecoder of any
//   hand       the move in progress: a pointer that drags, or keys not yet quiet
//   code       what the handles show, by the model's own latent index
//   committed  the code that the server knows of, or was told last
//   waiting    data that arrived during a drag, or that is still being unpacked
//
// All text from the server is set as text, never as markup.

const KEYS_QUIET_MS = 300; // without a key held
const TOUCH_SLOP_PX = 5; // a finger that moved less has only tapped
const PAGE_STEP = 8;
const SWEEP_MS = 4200; // of a playing row, there and back
const STILL_MS = 700; // a still of a playing row, where motion is to be reduced
const STILLS = 16; // there and back
const LOST_ANSWER_MS = 20000; // after which the board no longer shows that it waits
const GAP_PX = 2; // between the thumbnails of a film strip
const UNSEEN_ALPHA = 0.3; // of a thumbnail whose value hardly occurs in the data
const BAR_PX = 12; // width of a category's bar at most
const FAR_APART_PX = 48; // between two categories
const HINT_SEEN = "dvae-hint-seen"; // in the browser's storage: nobody needs the hint twice

class Board {
  rows = new Map(); // by latent
  session = null;
  sequence = 0; // of the last release sent
  data = null; // what is shown
  source = null;
  waiting = null;
  hand = null;
  playing = null;
  code = [];
  committed = [];

  // release  called with the code that a move ended at
  // need     called with "frames" where the browser cannot decode, and with "weights" where it has
  //          none of the decoder that the data name
  constructor(parent, { release, need }) {
    Object.assign(this, { tellRelease: release, tellNeed: need });
    this.image = element("canvas", { class: "image", role: "img", "data-testid": "latent-image" });
    this.image.setAttribute("aria-label", "image of the current code");
    this.readout = {
      name: element("span", { class: "name" }),
      carries: element("span", { class: "carries" }),
      value: element("div", { class: "value" }),
      place: element("div", { class: "place" }),
      unseen: element("div", { class: "place" }),
      likely: element("div", { class: "place" }),
    };
    this.tools = new Tools(this);
    this.note = element("div", { class: "note", role: "status", hidden: "" });
    this.open = element("div", { class: "rows" });
    this.folded = element("div", { class: "rows", hidden: "" });
    this.fold = element("button", { class: "fold", type: "button", "aria-expanded": "false" });
    this.fold.onclick = () => this.unfold(this.folded.hidden);
    this.root = element("div", { class: "board", role: "group", "data-testid": "latent-board" }, [
      element("div", { class: "layout" }, [
        element("div", { class: "stage" }, [
          element("div", { class: "frame" }, [this.image, element("div", { class: "progress" })]),
          element("div", { class: "aside" }, [
            element("div", { class: "readout", "aria-hidden": "true" }, [
              element("div", {}, [this.readout.name, this.readout.carries]),
              this.readout.value,
              this.readout.place,
              this.readout.unseen,
              this.readout.likely,
              element("div", { class: "hint" }),
            ]),
            this.tools.root,
          ]),
          this.note,
        ]),
        element("div", { class: "list" }, [this.open, this.fold, this.folded]),
      ]),
    ]);
    this.root.querySelector(".hint").textContent =
      "Drag a track or step with the arrow keys. Escape returns to the start.";
    this.welcome = element("div", { class: "welcome", "data-testid": "board-welcome" }, [
      element("span", {}),
      element("button", { class: "tool", type: "button", "aria-label": "close this hint" }),
    ]);
    this.welcome.firstChild.textContent =
      "Drag a handle: each latent changes a different aspect of the image.";
    this.welcome.lastChild.textContent = "×";
    this.welcome.lastChild.onclick = () => this.dismissWelcome();
    this.resizing = new ResizeObserver((entries) => {
      for (const { target } of entries) target.row.resize();
    });
    // Named from outside, so that a page with two boards can tell them apart.
    this.around = element("div", {}, [this.root]);
    parent.append(this.around);
  }

  remove() {
    this.hand = null;
    clearTimeout(this.lost);
    this.stop();
    this.resizing.disconnect();
    this.around.remove();
    this.source?.leave(this);
    this.source = null;
  }

  // --- what is given

  receive(data) {
    if (!data || data === this.latest) return; // a new theme: style sheets see to it
    this.latest = data;
    if (data.side) this.around.setAttribute("data-testid", `board-${data.side}`);
    if (data.session !== this.session) {
      this.session = data.session;
      this.sequence = data.answered;
    }
    if (data.answered < this.sequence) return; // rendered before our last release was heard of
    this.waiting = data;
    this.settle();
  }

  // Show what waits, except during a drag: the handle stays under the finger, on the images it has.
  async settle() {
    const data = this.waiting;
    if (!data || this.hand) return;
    let { source } = this;
    if (data.state_id !== source?.stateId) {
      data.opening ??= openSource(data);
      try {
        source = await data.opening;
      } catch (error) {
        if (data !== this.waiting) return;
        if (data.decoder) this.ask(error instanceof NoWeights ? "weights" : "frames", error);
        else this.tell(`The images cannot be shown: ${error.message}`);
        return;
      }
    }
    if (data !== this.waiting || this.hand) return; // overtaken, or a drag began meanwhile
    this.waiting = null;
    this.show(data, source);
  }

  show(data, source) {
    const latents = new Set(data.rows.map((row) => row.latent));
    for (const [latent, row] of this.rows) {
      if (latents.has(latent)) continue;
      if (this.playing?.row === row) this.stop(row);
      this.resizing.unobserve(row.rail);
      this.rows.delete(latent);
    }
    const repaint = source !== this.source;
    // What plays belongs to the start that it was begun from.
    const starts = (rows) => JSON.stringify(rows.map((row) => [row.latent, row.start]).sort());
    if (this.playing && starts(data.rows) !== starts(this.data.rows)) this.stop();
    this.data = data;
    if (repaint) {
      this.source?.leave(this);
      this.source = source;
      this.painted = null;
      source.join(this);
    }
    this.committed = [...data.code]; // latents without a row too
    const played = this.playing && this.code[this.playing.row.latent];
    this.code = [...this.committed];
    if (this.playing) this.code[this.playing.row.latent] = played;

    this.root.setAttribute("aria-label", data.label);
    for (const facts of data.rows) {
      if (!this.rows.has(facts.latent)) this.rows.set(facts.latent, new Row(this, facts.latent));
      this.rows.get(facts.latent).update(facts, repaint);
    }
    const active = data.rows.filter((row) => row.active);
    const inactive = data.rows.filter((row) => !row.active);
    const open = active.slice(0, data.shown ?? active.length);
    const folded = [...active.slice(open.length), ...inactive];
    const roots = (rows) => rows.map((row) => this.rows.get(row.latent).root);
    arrange(this.open, roots(open));
    arrange(this.folded, roots(folded));
    this.fold.hidden = folded.length === 0;
    this.fold.textContent = foldLabel(folded.length, inactive.length);

    if (isHintSeen()) this.welcome.remove(); // perhaps on another board
    else this.open.before(this.welcome);
    this.tell("");
    this.busy(false);
    const chosen = data.rows.find((row) => row.chosen);
    const isNews = chosen && chosen.latent !== this.chosen;
    this.chosen = chosen?.latent;
    const current = this.playing?.row ?? (isNews ? null : this.rows.get(this.current));
    const first = chosen ?? data.rows[0];
    if (!current && first.chosen && folded.includes(first)) this.unfold(true);
    this.point(current ?? this.rows.get(first.latent));
    this.asked = null;
    this.tools.update();
    this.paint();
  }

  // --- what is told

  // The one message of a move. None where all handles end where they were.
  commit() {
    this.hand = null;
    this.dismissWelcome(); // now, and not at the press: the row would leave the pointer
    if (this.code.some((value, latent) => value !== this.committed[latent])) {
      this.committed = [...this.code];
      this.waiting = null; // older than what is asked for now
      this.sequence += 1;
      this.busy(true);
      const { decoder } = this.data;
      const known = decoder && { decoder: decoder.id };
      this.tellRelease({ code: this.committed, sequence: this.sequence, ...known });
    }
    this.settle();
  }

  // Ask for data of another kind, once.
  ask(need, error) {
    if (this.asked === need) return;
    this.asked = need;
    this.tellNeed(need, error);
  }

  // The decoder has crashed.
  fail(source, error) {
    if (source === this.source) this.ask("frames", error);
  }

  // --- what a hand does

  // False when another hand holds a handle.
  take(owner, hand) {
    if (this.hand?.keys) this.commit();
    if (this.hand) return false;
    this.stop(owner);
    this.hand = { owner, ...hand };
    if (owner instanceof Row) this.point(owner);
    return true;
  }

  move(row, value) {
    if (value !== this.code[row.latent]) this.moveAll([[row.latent, value]]);
  }

  // Pairs of latent and value; the readout speaks of the last one.
  moveAll(values) {
    for (const [latent, value] of values) {
      this.code[latent] = value;
      this.rows.get(latent).place();
    }
    this.point(this.rows.get(values.at(-1)[0]));
    this.paint();
    for (const row of this.rows.values()) row.drawStrip();
    this.tools.follow();
  }

  // The keyboard's way of letting go.
  commitWhenQuiet() {
    const { hand } = this;
    clearTimeout(hand.quiet);
    hand.quiet = setTimeout(() => this.hand === hand && this.commit(), KEYS_QUIET_MS);
  }

  play(row) {
    if (this.hand?.keys) this.commit();
    if (this.hand) return;
    this.stop();
    const stops = this.stops(row.facts);
    const last = stops.length - 1;
    const reduced = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const period = reduced ? STILL_MS * STILLS : SWEEP_MS;
    // The sweep sets out from where the handle stands.
    const phase = Math.acos(1 - (2 * nearest(stops, this.code[row.latent])) / last);
    const began = performance.now();
    const step = (now) => {
      let elapsed = now - began;
      if (reduced) elapsed -= elapsed % STILL_MS;
      const angle = phase + (2 * Math.PI * elapsed) / period;
      this.move(row, stops[Math.round(((1 - Math.cos(angle)) / 2) * last)]);
      this.playing.request = requestAnimationFrame(step);
    };
    this.playing = { row, request: requestAnimationFrame(step) };
    row.showPlaying(true);
  }

  // Playing is a look, not a move: the handle goes back, unless `taker` takes it up on the way.
  stop(taker) {
    if (!this.playing) return;
    const { row, request } = this.playing;
    this.playing = null;
    cancelAnimationFrame(request);
    row.showPlaying(false);
    if (row !== taker) this.move(row, this.committed[row.latent]);
  }

  // The values at which a handle may stop.
  stops({ values, visited }) {
    if (!this.data.withinData || !visited.length) return values;
    return values.filter((_, index) => visited[index]);
  }

  dismissWelcome() {
    if (!this.welcome.isConnected) return;
    this.welcome.remove();
    hintSeen = true;
    try {
      localStorage.setItem(HINT_SEEN, "1");
    } catch {
      // No storage is allowed here: the hint comes back on the next visit.
    }
  }

  unfold(open) {
    this.folded.hidden = !open;
    this.fold.setAttribute("aria-expanded", String(open));
  }

  // --- what is seen

  paint() {
    const code = this.code.join(",");
    const wanted = `${this.data.state_id} ${code}`;
    if (wanted === this.painted) return;
    this.painted = wanted;
    const { image } = this;
    image.setAttribute("aria-busy", "true");
    this.source.showImage(this, (picture) => {
      if (image.width !== picture.width) image.width = picture.width;
      if (image.height !== picture.height) image.height = picture.height;
      image.getContext("2d").putImageData(picture, 0, 0);
      image.dataset.code = code;
      if (wanted === this.painted) image.setAttribute("aria-busy", "false");
    });
  }

  // The row that the readout speaks of.
  point(row) {
    if (this.current !== row.latent) {
      this.rows.get(this.current)?.root.classList.remove("current");
      row.root.classList.add("current");
      this.current = row.latent;
    }
    const { facts } = row;
    const at = nearest(facts.values, this.code[row.latent]);
    this.readout.name.textContent = facts.name;
    this.readout.carries.textContent = row.encoded;
    this.readout.value.textContent = shown(this.code[row.latent]);
    this.readout.place.textContent = facts.continuous
      ? `${shown(facts.values[0])} to ${shown(facts.values.at(-1))}`
      : `nearest category ${category(facts, at)}`;
    this.readout.unseen.textContent = isVisited(facts, at) ? "" : "hardly occurs in the data";
    const likely = facts.posterior.indexOf(Math.max(...facts.posterior));
    const says = facts.point
      ? `start image: ${likely}, a point`
      : `most likely for the start image: ${likely}`;
    this.readout.likely.textContent = facts.continuous || !facts.posterior.length ? "" : says;
  }

  busy(waits) {
    clearTimeout(this.lost);
    if (waits) this.lost = setTimeout(() => this.busy(false), LOST_ANSWER_MS);
    this.root.classList.toggle("busy", waits);
    this.root.setAttribute("aria-busy", String(waits));
  }

  tell(words) {
    this.note.textContent = words;
    this.note.hidden = !words;
  }
}

function foldLabel(count, inactive) {
  const latents = `latent${count === 1 ? "" : "s"}`;
  if (count === inactive) return `${count} inactive ${latents}`;
  return `${count} more ${latents}` + (inactive ? `, ${inactive} inactive` : "");
}

let hintSeen = false; // on this visit

function isHintSeen() {
  try {
    return hintSeen || localStorage.getItem(HINT_SEEN) !== null;
  } catch {
    return false;
  }
}

class Row {
  turns = 0; // drawings of the strip so far
  latest = []; // by thumbnail: the turn that it was drawn in

  constructor(board, latent) {
    this.board = board;
    this.latent = latent;
    this.name = element("span", { class: "name" });
    this.carries = element("span", { class: "carries" });
    this.share = element("span", { class: "share" });
    this.kl = element("span", { class: "kl" });
    this.playButton = element(
      "button",
      { class: "tool", type: "button", "data-testid": `latent-play-${latent}` },
      [drawing("icon", ["play", "pause"])],
    );
    this.resetButton = element(
      "button",
      { class: "tool", type: "button", "data-testid": `latent-reset-${latent}` },
      [drawing("icon", ["reset"])],
    );
    setPath(this.playButton, "play", "M5 3.2v9.6L13 8z");
    setPath(this.playButton, "pause", "M4.5 3.5h2.4v9H4.5zM9.1 3.5h2.4v9H9.1z");
    setPath(this.resetButton, "reset", "M3.4 5.4A5.2 5.2 0 1 1 2.8 8M3.2 2.4v3.2h3.2");
    this.showPlaying(false);
    this.resetButton.setAttribute("aria-label", `return latent ${latent} to the start`);
    this.resetButton.title = "back to the start";

    this.track = drawing("track", [
      "aggregate",
      "density",
      "outline",
      "bars",
      "unseen",
      "axis",
      "start",
    ]);
    this.strip = element("canvas", {
      class: "strip",
      "aria-hidden": "true",
      "data-testid": `latent-strip-${latent}`,
    });
    this.flag = element("span", { class: "flag", "aria-hidden": "true" });
    this.handle = element(
      "div",
      {
        class: "handle",
        role: "slider",
        tabindex: "0",
        "aria-orientation": "horizontal",
        "data-testid": `latent-handle-${latent}`,
      },
      [this.flag, element("span", { class: "needle" }), element("span", { class: "knob" })],
    );
    this.rail = element("div", { class: "rail" }, [
      this.track,
      element("div", { class: "film" }, [this.strip]),
      this.handle,
    ]);
    this.rail.row = this;
    this.root = element("section", { class: "row", "data-testid": `latent-row-${latent}` }, [
      element("header", {}, [
        this.name,
        this.carries,
        this.share,
        this.kl,
        this.playButton,
        this.resetButton,
      ]),
      this.rail,
    ]);

    this.rail.onpointerdown = (event) => this.press(event);
    this.rail.onpointermove = (event) => this.drag(event);
    this.rail.onpointerup = (event) => this.release(event);
    this.rail.onpointercancel = this.rail.onlostpointercapture = (event) => this.abandon(event);
    this.handle.onkeydown = (event) => this.keyDown(event);
    this.handle.onkeyup = () => this.keyUp();
    this.handle.onfocus = () => board.hand || board.point(this);
    this.handle.onblur = () => this.hasKeys() && board.commit();
    this.playButton.onclick = () => (board.playing?.row === this ? board.stop() : board.play(this));
    this.resetButton.onclick = () => {
      if (!board.take(this, {})) return;
      board.move(this, this.facts.start);
      board.commit();
    };
    board.resizing.observe(this.rail);
  }

  // The factor that the row names, and how much of its entropy the latent encodes.
  get encoded() {
    return `${this.carries.textContent} ${this.share.textContent}`.trim();
  }

  update(facts, repaint) {
    const before = this.facts;
    this.facts = facts;
    this.name.textContent = facts.name;
    this.name.title = facts.name;
    this.carries.textContent = facts.carries;
    this.share.textContent = facts.carries ? `${Math.round(100 * facts.information)} %` : "";
    this.share.title = facts.carries
      ? `This latent encodes ${this.share.textContent} of the entropy of ${facts.carries}, ` +
        `measured on ${facts.points.toLocaleString("en")} images.`
      : "";
    this.carries.title = this.share.title;
    this.kl.textContent = facts.kl === null ? "" : `${facts.kl.toFixed(2)} nats`;
    this.kl.title = facts.point
      ? "entropy of the categories of the data"
      : `KL from the prior, of ${facts.klOf}`;
    this.root.classList.toggle("chosen", facts.chosen);
    this.root.classList.toggle("inactive", !facts.active);
    const { side } = this.board.data;
    const name = facts.name + (facts.carries ? `, ${this.encoded}` : "");
    this.handle.setAttribute("aria-label", side ? `${side}: ${name}` : name);
    this.handle.setAttribute("aria-valuemin", facts.values[0]);
    this.handle.setAttribute("aria-valuemax", facts.values.at(-1));
    this.playButton.disabled = this.board.stops(facts).length < 2;
    const places = (row) => JSON.stringify([row?.values, row?.visited]);
    const moved = places(before) !== places(facts);
    if (repaint || moved) this.resize();
    else this.draw();
  }

  resize() {
    this.width = this.rail.clientWidth; // 0 while folded away
    const { source } = this.board;
    const height = this.strip.clientHeight;
    this.thumbnail = { height, width: (height * source.width) / source.height };
    const scale = devicePixelRatio || 1;
    this.strip.width = Math.round(this.width * scale);
    this.strip.height = Math.round(height * scale);
    this.drawn = null; // a canvas loses its image when it gets a size
    this.draw();
  }

  draw() {
    if (this.width) this.drawTrack();
    this.drawStrip();
    this.place();
  }

  // --- geometry: the first and the last value lie in the middle of the first and last thumbnail

  x(value) {
    const { values } = this.facts;
    const inset = this.thumbnail.width / 2;
    const span = values.at(-1) - values[0];
    const share = span > 0 ? (value - values[0]) / span : 0.5;
    return inset + Math.min(1, Math.max(0, share)) * (this.width - 2 * inset);
  }

  // The value whose place is x.
  valueAt(x) {
    const { values } = this.facts;
    const inset = this.thumbnail.width / 2;
    const share = (x - inset) / (this.width - 2 * inset);
    return values[0] + share * (values.at(-1) - values[0]);
  }

  // --- drawing

  place() {
    const { facts, latent } = this;
    const value = this.board.code[latent];
    this.flag.textContent = shown(value);
    this.handle.setAttribute("aria-valuenow", value);
    this.handle.setAttribute("aria-valuetext", spoken(facts, value));
    this.root.classList.toggle("moved", value !== facts.start);
    if (this.width) this.handle.style.transform = `translateX(${this.x(value)}px)`;
  }

  drawTrack() {
    const { values, posterior, aggregate, continuous, start } = this.facts;
    const height = this.track.clientHeight;
    const base = height - 7; // ticks and the start marker hang below
    const xs = values.map((value) => this.x(value));
    const tops = (heights, share) => heights.map((each) => base - each * (base - 1) * share);
    const ys = tops(posterior, 1);
    this.track.setAttribute("viewBox", `0 0 ${this.width} ${height}`);
    // A curve between categories far apart would say that something lies there.
    const apart = !continuous && pitch(xs) > FAR_APART_PX;
    const behind = tops(aggregate, 0.8);
    setPath(
      this.track,
      "aggregate",
      apart ? bars(xs, behind, base, 2 * BAR_PX) : area(xs, behind, base),
    );
    setPath(this.track, "density", continuous ? area(xs, ys, base) : "");
    setPath(this.track, "outline", continuous && ys.length ? `M${curve(xs, ys)}` : "");
    setPath(this.track, "bars", continuous ? "" : bars(xs, ys, base));
    const ticks = marks(this.facts, xs).map((x) => `M${crisp(x)} ${base}v3.5`);
    setPath(this.track, "axis", `${spans(this.facts, xs, true, base)}${ticks.join("")}`);
    setPath(this.track, "unseen", spans(this.facts, xs, false, base));
    setPath(this.track, "start", `M${this.x(start)} ${base + 1}l3.5 6h-7z`);
  }

  // Only what has changed: a strip does not depend on where its own handle stands.
  drawStrip() {
    if (!this.width) return;
    const { facts, latent, board } = this;
    const { height, width } = this.thumbnail;
    const lefts = this.thumbnails();
    const indexes = lefts.map((left) => nearest(facts.values, this.valueAt(left + width / 2)));
    const others = board.source.isLive ? board.code.map((value, at) => at !== latent && value) : [];
    const wanted = [board.source.stateId, others, indexes, facts.visited].join(";");
    if (wanted === this.drawn) return;
    this.drawn = wanted;
    const turn = ++this.turns;
    const scale = devicePixelRatio || 1;
    const context = this.strip.getContext("2d");
    context.imageSmoothingQuality = "high";
    board.source.showStrip(board, this, indexes, (at, canvas) => {
      if (turn < (this.latest[at] ?? 0)) return; // an older image came late
      this.latest[at] = turn;
      const left = Math.round(lefts[at] * scale);
      const across = Math.round(width * scale);
      // What is drawn half transparent must not shine through what was there.
      context.clearRect(left, 0, across, this.strip.height);
      context.globalAlpha = isVisited(facts, indexes[at]) ? 1 : UNSEEN_ALPHA;
      context.drawImage(canvas, left, 0, across, this.strip.height);
    });
  }

  // Left edges: of one thumbnail a value, or of as many as fit.
  thumbnails() {
    const { values } = this.facts;
    const { width } = this.thumbnail;
    const fit = Math.max(2, Math.floor((this.width + GAP_PX) / (width + GAP_PX)));
    if (values.length <= fit) return values.map((value) => this.x(value) - width / 2);
    return Array.from({ length: fit }, (_, at) => (at * (this.width - width)) / (fit - 1));
  }

  showPlaying(plays) {
    this.playButton.classList.toggle("playing", plays);
    this.playButton.title = plays ? "stop" : "play";
    this.playButton.setAttribute("aria-label", `${this.playButton.title} latent ${this.latent}`);
  }

  // --- pointers

  press(event) {
    const { board } = this;
    if (event.button !== 0 || !event.isPrimary) return;
    const place = event.clientX - this.rail.getBoundingClientRect().left;
    const grip = this.handle.contains(event.target) ? place - this.x(board.code[this.latent]) : 0;
    if (!board.take(this, { pointer: event.pointerId, grip, began: event.clientX })) return;
    event.preventDefault();
    this.rail.setPointerCapture(event.pointerId);
    this.handle.focus({ preventScroll: true });
    this.root.classList.add("held");
    if (this.handle.contains(event.target)) return;
    // A finger on the track may be about to scroll the page: wait until it moves sideways.
    if (event.pointerType === "touch") board.hand.undecided = true;
    else this.drag(event);
  }

  holds(event) {
    const { hand } = this.board;
    return hand?.owner === this && hand.pointer === event.pointerId;
  }

  drag(event) {
    if (!this.holds(event)) return;
    const { board } = this;
    const { hand } = board;
    if (hand.undecided && Math.abs(event.clientX - hand.began) < TOUCH_SLOP_PX) return;
    hand.undecided = false;
    // A handle between two values stays there until it is really moved.
    if (!hand.moved && event.type === "pointermove" && event.clientX === hand.began) return;
    hand.moved = true;
    const place = event.clientX - this.rail.getBoundingClientRect().left - hand.grip;
    const stops = board.stops(this.facts);
    board.move(this, stops[nearest(stops, this.valueAt(place))]);
  }

  release(event) {
    if (!this.holds(event)) return;
    const { board } = this;
    if (board.hand.undecided) {
      board.hand.began = NaN; // a tap goes where it was
      this.drag(event);
    }
    this.root.classList.remove("held");
    board.commit();
  }

  // The browser took the pointer away, to scroll for instance: as if nothing had been touched.
  abandon(event) {
    if (!this.holds(event)) return;
    this.root.classList.remove("held");
    this.board.move(this, this.board.committed[this.latent]);
    this.board.commit();
  }

  // --- keys

  hasKeys() {
    const { hand } = this.board;
    return Boolean(hand?.keys) && hand.owner === this;
  }

  keyDown(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const { board, facts } = this;
    const stops = board.stops(facts);
    const value = target(event.key, stops, facts.start, board.code[this.latent]);
    if (value === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    if (board.hand?.owner === this && board.hand.pointer !== undefined) {
      if (event.key !== "Escape") return;
      this.root.classList.remove("held");
      board.move(this, value);
      board.commit();
      return;
    }
    if (!this.hasKeys() && !board.take(this, { keys: true })) return;
    clearTimeout(board.hand.quiet);
    board.move(this, value);
  }

  keyUp() {
    if (this.hasKeys()) this.board.commitWhenQuiet();
  }
}

// --- where images come from

// What data name: rendered frames, or a decoder.
function openSource(data) {
  return data.decoder ? BrowserDecoder.open(data.decoder) : Frames.unpack(data);
}

// All frames of one code, rendered elsewhere, as planes of bytes: differences to the frame before
// while packed, pixels once unpacked. Other codes have to be asked for: only the moved row has images.
class Frames {
  isLive = false; // whether strips follow a move of other latents

  static async unpack({ frames, shape, state_id: stateId }) {
    const stream = new Blob([bytesOf(frames)]).stream();
    const unpacked = stream.pipeThrough(new DecompressionStream("deflate"));
    const bytes = new Uint8Array(await new Response(unpacked).arrayBuffer());
    const [rows, values, channels, height, width] = shape;
    const size = channels * height * width; // of a frame
    for (let row = 0; row < rows; row++) {
      const end = (row + 1) * values * size;
      for (let index = (row * values + 1) * size; index < end; index++) {
        bytes[index] += bytes[index - size];
      }
    }
    return new Frames(bytes, shape, stateId);
  }

  constructor(bytes, [rows, values, channels, height, width], stateId) {
    Object.assign(this, { bytes, rows, values, width, height, stateId });
    this.size = channels * height * width;
    this.canvas = new PixelCanvas(channels, height, width);
  }

  join() {}

  leave() {}

  showImage({ data, code, rows, current }, show) {
    const exact = data.rows.every((facts) => facts.value === code[facts.latent]);
    const { facts } = rows.get(current);
    const place = exact
      ? this.rows * this.values
      : facts.frames * this.values + nearest(facts.values, code[facts.latent]);
    show(this.canvas.fill(this.bytes, place * this.size));
  }

  showStrip(board, { facts }, indexes, show) {
    indexes.forEach((index, at) => {
      show(at, this.canvas.draw(this.bytes, (facts.frames * this.values + index) * this.size));
    });
  }
}

class NoWeights extends Error {}

// A decoder of decoder.js, shared by all boards of the page that show the same model.
class BrowserDecoder {
  static opened = new Map(); // promises by the id of the decoder, the one used last at the end
  static MOST = 4; // that are kept while no board shows them
  isLive = true;
  boards = new Map(); // the lane of each board

  static open({ id, packed }) {
    const { opened } = BrowserDecoder;
    const found = opened.get(id);
    if (!found && !packed) return Promise.reject(new NoWeights());
    const opening =
      found ?? createDecoder(bytesOf(packed)).then((decoder) => new BrowserDecoder(id, decoder));
    opened.delete(id);
    opened.set(id, opening);
    opening.catch(() => opened.delete(id));
    return opening;
  }

  constructor(id, decoder) {
    const [channels, height, width] = decoder.imageShape;
    Object.assign(this, { stateId: id, decoder, width, height });
    this.size = channels * height * width;
    this.canvas = new PixelCanvas(channels, height, width);
  }

  join(board) {
    this.boards.set(board, `board ${++BrowserDecoder.joined}`);
  }
  static joined = 0;

  async leave(board) {
    this.boards.delete(board);
    const { opened, MOST } = BrowserDecoder;
    const all = await Promise.allSettled(opened.values());
    const idle = all.flatMap(({ value }) => (value && !value.boards.size ? [value] : []));
    for (const each of idle.slice(0, Math.max(0, idle.length - MOST))) {
      opened.delete(each.stateId);
      each.decoder.close();
    }
  }

  showImage(board, show) {
    this.decode(board, board.code, { lane: "image", urgent: true }).then((pixels) => {
      if (pixels && board.source === this) show(this.canvas.fill(pixels, 0));
    });
  }

  showStrip(board, { facts, latent }, indexes, show) {
    const codes = indexes.flatMap((index) => board.code.with(latent, facts.values[index]));
    this.showAll(board, `strip ${latent}`, codes, show);
  }

  // Images of codes in a row, each as soon as it is there.
  showAll(board, lane, codes, show) {
    const onImages = (pixels, first) => {
      if (board.source !== this) return;
      for (let image = 0; image * this.size < pixels.length; image++) {
        show(first + image, this.canvas.draw(pixels, image * this.size));
      }
    };
    this.decode(board, codes, { lane, onImages });
  }

  async decode(board, codes, { lane, ...options }) {
    const name = `${this.boards.get(board)} ${lane}`;
    try {
      return await this.decoder.decode(codes, { ...options, lane: name });
    } catch (error) {
      BrowserDecoder.opened.delete(this.stateId);
      board.fail(this, error);
      return null;
    }
  }
}

// Planes of bytes (C, H, W) as a picture.
class PixelCanvas {
  constructor(channels, height, width) {
    Object.assign(this, { channels, area: height * width });
    this.picture = new ImageData(width, height);
    this.scratch = element("canvas", { width, height });
  }

  // The picture is good until the next call.
  fill(bytes, red) {
    const { area } = this;
    const green = this.channels === 3 ? red + area : red;
    const blue = this.channels === 3 ? green + area : red;
    const rgba = this.picture.data;
    for (let pixel = 0; pixel < area; pixel++) {
      rgba[4 * pixel] = bytes[red + pixel];
      rgba[4 * pixel + 1] = bytes[green + pixel];
      rgba[4 * pixel + 2] = bytes[blue + pixel];
      rgba[4 * pixel + 3] = 255;
    }
    return this.picture;
  }

  draw(bytes, red) {
    this.scratch.getContext("2d").putImageData(this.fill(bytes, red), 0, 0);
    return this.scratch;
  }
}

function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

// --- values

function nearest(values, value) {
  let best = 0;
  for (let index = 1; index < values.length; index++) {
    if (Math.abs(values[index] - value) < Math.abs(values[best] - value)) best = index;
  }
  return best;
}

// Where a key leads from `value`, which may lie between two values; undefined for other keys.
function target(key, values, start, value) {
  const last = values.length - 1;
  const slack = (values[last] - values[0]) * 1e-6;
  const below = values.findLastIndex((each) => each <= value + slack);
  const above = values.findIndex((each) => each >= value - slack);
  const up = (step) => values[Math.min(last, below + step)];
  const down = (step) => values[Math.max(0, (above < 0 ? last + 1 : above) - step)];
  switch (key) {
    case "ArrowRight":
    case "ArrowUp":
      return up(1);
    case "ArrowLeft":
    case "ArrowDown":
      return down(1);
    case "PageUp":
      return up(PAGE_STEP);
    case "PageDown":
      return down(PAGE_STEP);
    case "Home":
      return values[0];
    case "End":
      return values[last];
    case "Escape":
      return start;
  }
}

function spoken(facts, value) {
  const { name, values, continuous } = facts;
  const at = nearest(values, value);
  const unseen = isVisited(facts, at) ? "" : ", hardly occurs in the data";
  const where = continuous ? "" : `category ${category(facts, at)}, `;
  return `${name}, ${where}value ${hundredths(value)}${unseen}`;
}

// A category in words, counted from 0 as everywhere in the app.
function category({ values, categoryNames }, index) {
  const name = categoryNames[index];
  return `${index}${name ? ` · ${name}` : ""} of 0 to ${values.length - 1}`;
}

// Whether a value occurs in the data; true where nobody looked.
function isVisited({ visited }, index) {
  return !visited.length || visited[index];
}

function hundredths(value) {
  const digits = value.toFixed(2);
  return digits === "-0.00" ? "0.00" : digits;
}

function shown(value) {
  return hundredths(value).replace("-", "\u2212");
}

// --- shapes, in pixels

// A curve through the points that overshoots none of them: cubic pieces whose slope at a point is
// the harmonic mean of the slopes on either side, and zero at a peak.
function curve(xs, ys) {
  const last = xs.length - 1;
  const rise = (index) => (ys[index + 1] - ys[index]) / (xs[index + 1] - xs[index]);
  const slope = (index) => {
    if (index === 0 || index === last) return rise(Math.min(index, last - 1));
    const [left, right] = [rise(index - 1), rise(index)];
    return left * right <= 0 ? 0 : (2 * left * right) / (left + right);
  };
  let path = `${xs[0].toFixed(1)} ${ys[0].toFixed(1)}`;
  for (let index = 0; index < last; index++) {
    const third = (xs[index + 1] - xs[index]) / 3;
    const points = [
      [xs[index] + third, ys[index] + slope(index) * third],
      [xs[index + 1] - third, ys[index + 1] - slope(index + 1) * third],
      [xs[index + 1], ys[index + 1]],
    ];
    path += `C${points.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join(" ")}`;
  }
  return path;
}

function area(xs, ys, base) {
  if (!ys.length) return "";
  return `M${xs[0].toFixed(1)} ${base}L${curve(xs, ys)}L${xs.at(-1).toFixed(1)} ${base}z`;
}

function bars(xs, ys, base, widest = BAR_PX) {
  const width = Math.min(widest, Math.max(1, Math.round(pitch(xs) * 0.62)));
  return ys
    .map((y, index) => {
      if (base - y < 0.3) return "";
      return `M${Math.round(xs[index] - width / 2)} ${base}V${y.toFixed(1)}h${width}V${base}z`;
    })
    .join("");
}

// The parts of an axis around the values that are visited, or around the others: each reaches to the
// middle between two values.
function spans(facts, xs, visited, base) {
  const last = xs.length - 1;
  let path = "";
  xs.forEach((x, index) => {
    if (isVisited(facts, index) !== visited) return;
    const left = index ? (xs[index - 1] + x) / 2 : x;
    const right = index < last ? (x + xs[index + 1]) / 2 : x;
    path += `M${left.toFixed(1)} ${crisp(base)}H${right.toFixed(1)}`;
  });
  return path;
}

// Where ticks go: at every category, where they can be told apart; at whole numbers of a Gaussian.
function marks({ values, continuous }, xs) {
  const last = xs.length - 1;
  if (!continuous) return pitch(xs) < 3 ? [xs[0], xs[last]] : xs;
  const places = [];
  const scale = (xs[last] - xs[0]) / (values[last] - values[0]);
  for (let whole = Math.ceil(values[0]); whole <= values[last]; whole++) {
    places.push(xs[0] + (whole - values[0]) * scale);
  }
  return places;
}

function pitch(xs) {
  return xs.length > 1 ? (xs.at(-1) - xs[0]) / (xs.length - 1) : Infinity;
}

function crisp(x) {
  return Math.floor(x) + 0.5;
}

// --- elements

function element(tag, attributes = {}, children = []) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

const SVG = "http://www.w3.org/2000/svg";

function drawing(name, paths) {
  const made = document.createElementNS(SVG, "svg");
  made.setAttribute("class", name);
  made.setAttribute("aria-hidden", "true");
  if (name === "icon") made.setAttribute("viewBox", "0 0 16 16");
  for (const path of paths) {
    made.append(document.createElementNS(SVG, "path"));
    made.lastChild.setAttribute("class", path);
  }
  return made;
}

function setPath(parent, name, shape) {
  parent.querySelector(`.${name}`).setAttribute("d", shape);
}

// Put `children` into `parent` in this order, without touching those that are in place already:
// moving an element takes the focus from it.
function arrange(parent, children) {
  const focused = parent.getRootNode().activeElement;
  children.forEach((child, index) => {
    if (parent.children[index] !== child) parent.insertBefore(child, parent.children[index] ?? null);
  });
  while (parent.children.length > children.length) parent.lastChild.remove();
  if (focused && parent.contains(focused)) focused.focus({ preventScroll: true });
}
