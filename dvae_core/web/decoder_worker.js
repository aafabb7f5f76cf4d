// A worker that decodes: the script of each worker of decoder.js.
//
// It answers its first message, { packed, kernel }, with facts about the decoder or an error. It
// answers every further one, { codes }, with { pixels, ms }: Uint8Array (B, C, H, W), and how long it
// took. The layout of the weights is described in decoder.py, that of maps in decoder_kernel.c.

const MAGIC = "dvaedec1";
const MAP_SIZE = 4; // of the smallest map
const BYTES_PER_LOGIT = 256; // as in decoder_kernel.c
const FLOAT = 4; // bytes
const MOST_IMAGES = 16; // that are decoded at once; an even number

let network = null;
onmessage = ({ data }) => {
  try {
    if (network) {
      const began = performance.now();
      const pixels = network.decode(data.codes);
      postMessage({ pixels, ms: performance.now() - began }, [pixels.buffer]);
    } else {
      network = buildNetwork(unpack(data.packed), data.kernel);
      const { imageShape, numLatents, simd } = network;
      network.decode(new Float32Array(numLatents)); // browsers compile for speed what has run
      postMessage({ imageShape, numLatents, simd, mostImages: MOST_IMAGES });
    }
  } catch (error) {
    if (network) throw error;
    postMessage({ error: error.message });
  }
};

// --- packed weights

// The header, and the layers with float32 weights.
function unpack(packed) {
  const bytes = new Uint8Array(packed); // a copy, so that its parts are aligned
  const text = (from, to) => new TextDecoder().decode(bytes.subarray(from, to));
  if (text(0, 8) !== MAGIC) throw new Error("these are no packed weights of a decoder");
  const view = new DataView(bytes.buffer);
  if (bytes.length < 16 || crc32(bytes.subarray(12)) !== view.getUint32(8, true)) {
    throw new Error("the weights of the decoder are damaged: their checksum is wrong");
  }
  let offset = 16 + view.getUint32(12, true);
  const header = JSON.parse(text(16, offset));
  const take = (Type, count) => {
    const taken = new Type(bytes.buffer, offset, count);
    offset += taken.byteLength;
    return taken;
  };
  // `group` outputs lie side by side; `repeats` times, all outputs follow one another.
  const layer = (inputs, outputs, { group = 8, repeats = 1 } = {}) => {
    const bias = take(Float32Array, outputs);
    const scales = take(Float32Array, repeats * outputs);
    const integers = take(Int16Array, repeats * inputs * outputs);
    const weights = new Float32Array(integers.length);
    for (let block = 0, at = 0; at < weights.length; block++) {
      const first = block * group;
      for (let end = at + inputs * group; at < end; at += group) {
        for (let output = 0; output < group; output++) {
          weights[at + output] = integers[at + output] * scales[first + output];
        }
      }
    }
    return { inputs, outputs, bias, weights };
  };
  const { image_shape: imageShape, num_latents: numLatents, hidden, widths } = header;
  const outputs = 4 * imageShape[0];
  const layers = {
    hidden: layer(numLatents, hidden),
    maps: layer(hidden, MAP_SIZE * MAP_SIZE * widths[0]),
    convolutions: widths
      .slice(1)
      .map((width, stage) => layer(4 * widths[stage], width, { repeats: 4 })),
    last: layer(4 * widths.at(-1), outputs, { group: outputs }),
  };
  return { imageShape, numLatents, widths, layers };
}

function crc32(bytes) {
  const table = Int32Array.from({ length: 256 }, (_, value) => {
    for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ (value & 1 ? 0xedb88320 : 0);
    return value;
  });
  let crc = -1;
  for (let at = 0; at < bytes.length; at++) {
    crc = (crc >>> 8) ^ table[(crc ^ bytes[at]) & 255];
  }
  return ~crc >>> 0;
}

// --- the network: everything lies in one memory, and layers get addresses in it, in bytes

function buildNetwork({ imageShape, numLatents, widths, layers }, kernel) {
  const frameSize = imageShape.reduce((product, side) => product * side, 1);
  const { simd, base, allocate } = openKernels(kernel);
  let end = base;
  const reserve = (bytes) => {
    const address = end;
    end += Math.ceil(bytes / 16) * 16;
    return address;
  };
  const place = ({ bias, weights, ...sizes }) => ({
    ...sizes,
    values: [weights, bias],
    weights: reserve(FLOAT * weights.length),
    bias: reserve(FLOAT * bias.length),
  });
  const hidden = place(layers.hidden);
  const maps = place(layers.maps);
  const convolutions = layers.convolutions.map(place);
  const last = place(layers.last);
  const table = reserve(16 * BYTES_PER_LOGIT);
  const codes = reserve(FLOAT * MOST_IMAGES * numLatents);
  const hiddens = reserve(FLOAT * MOST_IMAGES * hidden.outputs);
  const flat = reserve(FLOAT * MOST_IMAGES * maps.outputs);
  const pixels = reserve(MOST_IMAGES * frameSize);
  // One image after the other goes through these: they stay in the cache.
  const stages = widths.map((width, stage) => {
    const size = MAP_SIZE * 2 ** stage;
    return { size, width, map: reserve(FLOAT * (size + 2) ** 2 * width) };
  });

  const { buffer, kernels } = allocate(end);
  const floats = new Float32Array(buffer);
  const bytes = new Uint8Array(buffer);
  for (const { values, weights, bias } of [hidden, maps, ...convolutions, last]) {
    floats.set(values[0], weights / FLOAT);
    floats.set(values[1], bias / FLOAT);
  }
  for (let step = 0; step < 16 * BYTES_PER_LOGIT; step++) {
    const logit = (step + 0.5) / BYTES_PER_LOGIT - 8;
    bytes[table + step] = Math.round(255 / (1 + Math.exp(-logit)));
  }

  function decode(given) {
    const count = given.length / numLatents;
    const linear = ({ inputs, weights, bias, outputs }, from, to) =>
      kernels.linear(from, count, inputs, weights, bias, outputs, to);
    floats.set(given, codes / FLOAT);
    linear(hidden, codes, hiddens);
    linear(maps, hiddens, flat);
    for (let image = 0; image < count; image++) {
      const { width, map } = stages[0];
      const run = MAP_SIZE * width; // a row of the map
      for (let y = 0; y < MAP_SIZE; y++) {
        const from = flat / FLOAT + image * maps.outputs + y * run;
        const to = map / FLOAT + ((y + 1) * (MAP_SIZE + 2) + 1) * width;
        floats.copyWithin(to, from, from + run);
      }
      convolutions.forEach(({ weights, bias, outputs }, stage) => {
        const { map, size, width } = stages[stage];
        kernels.doubling(map, size, width, weights, bias, outputs, stages[stage + 1].map);
      });
      const { map: lastMap, size, width: depth } = stages.at(-1);
      const to = pixels + image * frameSize;
      kernels.last(lastMap, size, depth, last.weights, last.bias, table, imageShape[0], to);
    }
    return bytes.slice(pixels, pixels + count * frameSize);
  }

  return { imageShape, numLatents, simd, decode };
}

// simd      whether WebAssembly computes, and not plain JavaScript
// base      the first free address
// allocate  function of the first address beyond those needed: a buffer up to there, and the three
//           functions of decoder_kernel.c, which read and write it
function openKernels(kernel) {
  if (kernel && typeof WebAssembly !== "undefined") {
    try {
      const { exports } = new WebAssembly.Instance(new WebAssembly.Module(kernel));
      const { memory, __heap_base: heap } = exports;
      const allocate = (end) => {
        memory.grow(Math.max(0, Math.ceil((end - memory.buffer.byteLength) / 65536)));
        return { buffer: memory.buffer, kernels: exports };
      };
      return { simd: true, base: Math.ceil(heap.value / 16) * 16, allocate };
    } catch (error) {
      // No SIMD, or a policy without 'wasm-unsafe-eval'.
      if (!(error instanceof WebAssembly.CompileError)) throw error;
    }
  }
  return { simd: false, base: 0, allocate: plainKernels };
}

// decoder_kernel.c in plain JavaScript.
function plainKernels(end) {
  const buffer = new ArrayBuffer(end + 2 * 12 * FLOAT);
  const floats = new Float32Array(buffer);
  const bytes = new Uint8Array(buffer);
  const logits = end / FLOAT; // of two blocks of 2x2 pixels

  // Four outputs of two windows, `step` apart in the result: what fits into registers.
  function products(input, depth, runs, length, row, weights, width, bias, out, step, relu) {
    for (let first = 0; first < width; first += 4) {
      let a0 = floats[bias + first];
      let a1 = floats[bias + first + 1];
      let a2 = floats[bias + first + 2];
      let a3 = floats[bias + first + 3];
      let b0 = a0;
      let b1 = a1;
      let b2 = a2;
      let b3 = a3;
      let by = weights + first;
      for (let run = 0; run < runs; run++) {
        const from = input + run * row;
        for (let at = from; at < from + length; at++, by += width) {
          const a = floats[at];
          const b = floats[at + depth];
          const w0 = floats[by];
          const w1 = floats[by + 1];
          const w2 = floats[by + 2];
          const w3 = floats[by + 3];
          a0 += a * w0;
          a1 += a * w1;
          a2 += a * w2;
          a3 += a * w3;
          b0 += b * w0;
          b1 += b * w1;
          b2 += b * w2;
          b3 += b * w3;
        }
      }
      const least = relu ? 0 : -Infinity;
      const to = out + first;
      floats[to] = Math.max(least, a0);
      floats[to + 1] = Math.max(least, a1);
      floats[to + 2] = Math.max(least, a2);
      floats[to + 3] = Math.max(least, a3);
      floats[to + step] = Math.max(least, b0);
      floats[to + step + 1] = Math.max(least, b1);
      floats[to + step + 2] = Math.max(least, b2);
      floats[to + step + 3] = Math.max(least, b3);
    }
  }

  // Windows go in pairs. The last of an odd number makes a pair with itself.
  function linear(input, rows, depth, weights, bias, outputs, out) {
    for (let first = 0; first < outputs; first += 8) {
      for (let row = 0; row < rows; row += 2) {
        const paired = row + 1 < rows;
        products(
          input / FLOAT + row * depth,
          paired ? depth : 0,
          1,
          depth,
          0,
          weights / FLOAT + first * depth,
          8,
          bias / FLOAT + first,
          out / FLOAT + row * outputs + first,
          paired ? outputs : 0,
          true,
        );
      }
    }
  }

  function doubling(input, size, depth, weights, bias, outputs, out) {
    const row = (size + 2) * depth;
    const rowOut = (2 * size + 2) * outputs;
    let by = weights / FLOAT;
    for (const [a, b] of [[0, 0], [0, 1], [1, 0], [1, 1]]) {
      for (let first = 0; first < outputs; first += 8, by += 32 * depth) {
        for (let y = 0; y < size; y++) {
          for (let x = 0; x < size; x += 2) {
            products(
              input / FLOAT + (y + a) * row + (x + b) * depth,
              depth,
              2,
              2 * depth,
              row,
              by,
              8,
              bias / FLOAT + first,
              out / FLOAT + (2 * y + a + 1) * rowOut + (2 * x + b + 1) * outputs + first,
              2 * outputs,
              true,
            );
          }
        }
      }
    }
  }

  function last(input, size, depth, weights, bias, table, channels, pixels) {
    const row = (size + 2) * depth;
    const side = 2 * size;
    const step = 4 * channels;
    for (let y = 0; y <= size; y++) {
      for (let x = 0; x <= size; x += 2) {
        const count = x < size ? 2 : 1;
        products(
          input / FLOAT + y * row + x * depth,
          count === 2 ? depth : 0,
          2,
          2 * depth,
          row,
          weights / FLOAT,
          step,
          bias / FLOAT,
          logits,
          count === 2 ? step : 0,
          false,
        );
        for (let at = 0; at < count * step; at++) {
          const toY = 2 * y - 1 + ((at >> 1) & 1);
          const toX = 2 * (x + Math.floor(at / step)) - 1 + (at & 1);
          if (toY < 0 || toX < 0 || toY >= side || toX >= side) continue;
          const channel = (at % step) >> 2;
          const place = Math.floor(BYTES_PER_LOGIT * (floats[logits + at] + 8));
          const most = 16 * BYTES_PER_LOGIT - 1;
          bytes[pixels + (channel * side + toY) * side + toX] =
            bytes[table + Math.min(most, Math.max(0, place))];
        }
      }
    }
  }

  return { buffer, kernels: { linear, doubling, last } };
}
