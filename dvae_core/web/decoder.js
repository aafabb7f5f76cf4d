// The decoder in the browser: codes to images, in workers, without a server.
//
//   const decoder = await createDecoder(packed);            // bytes of pack_decoder
//   const image = await decoder.decode(code, { lane: "image", urgent: true });
//   for (const row of rows)
//     decoder.decode(codesOf(row), { lane: `strip ${row.latent}` }).then(
//       (images) => images && draw(row, images));
//
// A lane is a place on the page. Of what waits in it, only the newest request counts: an older one
// resolves to null. A request that was begun comes to its end, so that a strip changes even while
// codes come faster than it can be decoded. Urgent requests go first. Of the others, the lane that
// was served longest ago goes first, so that the strips of a board take turns. Workers get batches
// of about two milliseconds, which is how long an urgent request waits.
//
// A page with a content security policy needs `worker-src blob:`, and 'wasm-unsafe-eval' in its
// `script-src`. Without the latter, or without SIMD, workers decode in plain JavaScript, about ten
// times slower. Nothing is fetched. `decoder_script` puts worker and kernel in; the text can then
// stand in a script or a module as it is.

const createDecoder = (() => {
  const WORKER = "@WORKER@"; // decoder_worker.js
  const KERNEL = "@KERNEL@"; // decoder_kernel.wasm, base64
  const BATCH_MS = 2;
  const START_MS = 20000;

  // packed      Uint8Array of pack_decoder
  // workers     how many; one on a single core, else two
  // plain       true to do without WebAssembly
  //
  // Rejects, with a message for people, if the bytes are damaged or the browser has no workers.
  async function createDecoder(packed, { workers, plain = false } = {}) {
    if (typeof Worker === "undefined") throw new Error("this browser has no workers");
    workers ??= (navigator.hardwareConcurrency ?? 2) > 1 ? 2 : 1;
    const address = URL.createObjectURL(new Blob([WORKER], { type: "text/javascript" }));
    const kernel = plain ? null : Uint8Array.from(atob(KERNEL), (c) => c.charCodeAt(0));
    const started = [];
    try {
      for (let index = 0; index < workers; index++) started.push(new Worker(address));
      const facts = await Promise.all(
        started.map((worker) => firstAnswer(worker, { packed, kernel })),
      );
      return new Decoder(started, facts[0]);
    } catch (error) {
      for (const worker of started) worker.terminate();
      throw error;
    } finally {
      URL.revokeObjectURL(address);
    }
  }

  function firstAnswer(worker, question) {
    return new Promise((resolve, reject) => {
      const refuse = (message) => reject(new Error(message));
      const late = setTimeout(refuse, START_MS, "the decoder did not start within 20 seconds");
      worker.onmessage = ({ data }) => {
        clearTimeout(late);
        if (data.error) refuse(data.error);
        else resolve(data);
      };
      worker.onerror = ({ message }) => {
        clearTimeout(late);
        refuse(message || "this page allows no workers");
      };
      worker.postMessage(question);
    });
  }

  class Decoder {
    waiting = new Map(); // by lane: a request of which nothing was sent yet
    begun = []; // requests of which some codes are not sent yet
    turns = 0; // requests begun so far
    served = new Map(); // by lane: the turn of its last request begun
    finished = new Map(); // by lane: the turn of its last request that came to its end
    perBatch = 2; // images, by the speed measured
    failure = null;

    // imageShape  [C, H, W]
    // numLatents  N
    // simd        whether the kernel runs, and not plain JavaScript
    constructor(workers, { imageShape, numLatents, simd, mostImages }) {
      Object.assign(this, { imageShape, numLatents, simd, mostImages });
      this.frameSize = imageShape.reduce((product, side) => product * side, 1);
      this.workers = workers;
      this.idle = [...workers];
      this.sent = new Map(); // by worker: the batch that it decodes
      for (const worker of workers) {
        worker.onmessage = ({ data }) => this.receive(worker, data);
        worker.onerror = ({ message }) => this.close(new Error(message || "a worker has crashed"));
      }
    }

    // Images of codes (B, N), in a row: Uint8Array (B, C, H, W), or null for a request that a newer
    // one of its lane replaced, or that was dropped. Rejects if the codes are not B times N finite
    // numbers, or the decoder has crashed.
    //
    // lane      any name; without one, nothing replaces the request
    // urgent    before all that are not
    // onImages  called with (images, first) for each part as soon as it is there
    decode(codes, { lane = Symbol("alone"), urgent = false, onImages = null } = {}) {
      return new Promise((resolve, reject) => {
        if (this.failure) throw this.failure;
        const values = new Float32Array(codes); // a copy: the caller may go on with its own
        const count = values.length / this.numLatents;
        if (!count || count % 1) {
          const found = `${values.length} values`;
          throw new Error(`codes have ${found}, expected a multiple of ${this.numLatents}`);
        }
        if (!values.every(Number.isFinite)) throw new Error("a code has a value that is not finite");
        this.waiting.get(lane)?.resolve(null);
        const pixels = new Uint8Array(count * this.frameSize);
        const state = { codes: values, count, pixels, next: 0, left: count };
        // The newer one keeps the place of the older one in the line.
        this.waiting.set(lane, { ...state, lane, urgent, onImages, resolve, reject });
        this.work();
      });
    }

    // Forget what waits in a lane; without one, in all of them.
    drop(lane) {
      for (const each of lane === undefined ? [...this.waiting.keys()] : [lane]) {
        this.waiting.get(each)?.resolve(null);
        this.waiting.delete(each);
      }
    }

    // End the workers. All requests resolve to null, or reject with `error`.
    close(error = null) {
      if (this.failure) return;
      this.failure = error ?? new Error("the decoder is closed");
      for (const worker of this.workers) worker.terminate();
      const sent = [...this.sent.values()].map((batch) => batch.request);
      for (const request of new Set([...this.waiting.values(), ...this.begun, ...sent])) {
        if (error) request.reject(error);
        else request.resolve(null);
      }
      this.waiting.clear();
      this.begun = [];
      this.sent.clear();
      this.idle = [];
    }

    work() {
      while (this.idle.length) {
        const request = this.choose();
        if (!request) return;
        const { next, codes, count } = request;
        const images = Math.min(this.perBatch, count - next);
        const batch = codes.slice(next * this.numLatents, (next + images) * this.numLatents);
        request.next += images;
        if (request.next === count) this.begun.splice(this.begun.indexOf(request), 1);
        const worker = this.idle.pop();
        this.sent.set(worker, { request, first: next, images });
        worker.postMessage({ codes: batch }, [batch.buffer]);
      }
    }

    choose() {
      const next = (urgent) =>
        this.begun.find((request) => request.urgent === urgent) ??
        this.begin([...this.waiting.values()].filter((request) => request.urgent === urgent));
      return next(true) ?? next(false);
    }

    begin(requests) {
      const turn = ({ lane }) => this.served.get(lane) ?? 0;
      const first = requests.reduce((a, b) => (turn(b) < turn(a) ? b : a), requests[0]);
      if (!first) return undefined;
      this.waiting.delete(first.lane);
      this.begun.push(first);
      first.turn = ++this.turns;
      if (typeof first.lane !== "symbol") this.served.set(first.lane, first.turn);
      return first;
    }

    receive(worker, { pixels, ms }) {
      if (this.failure) return;
      const { request, first, images } = this.sent.get(worker);
      this.sent.delete(worker);
      this.idle.push(worker);
      // Half of it from before: one batch may have been interrupted.
      const fitting = Math.min(this.mostImages, (BATCH_MS * images) / Math.max(ms, 0.1));
      this.perBatch = Math.max(1, Math.round((this.perBatch + fitting) / 2));
      this.work(); // before anything is drawn
      request.pixels.set(pixels, first * this.frameSize);
      request.left -= images;
      const { lane, turn } = request;
      if (this.finished.get(lane) > turn) {
        request.resolve(null); // a newer one was faster, on another worker
        return;
      }
      if (!request.left) {
        if (typeof lane !== "symbol") this.finished.set(lane, turn);
        request.resolve(request.pixels);
      }
      request.onImages?.(pixels, first);
    }
  }

  return createDecoder;
})();
