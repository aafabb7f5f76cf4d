// The layers of the decoder on WebAssembly with SIMD; decoder.js calls them one after the other.
//
//   clang --target=wasm32 -O3 -msimd128 -mnontrapping-fptoint -ffreestanding -nostdlib \
//     -Wl,--no-entry,--export=__heap_base,--strip-all -o decoder_kernel.wasm decoder_kernel.c
//
// (clang and lld 14) builds decoder_kernel.wasm, which is committed beside this file. decoder.js has
// the same three functions in plain JavaScript, with the same arguments.
//
// Maps are channels last. A map of H x W pixels is stored with a border of one pixel of zeros, as
// (H + 2, W + 2, C), so that no window reaches outside. Pixels that lie side by side are then
// contiguous: a window of 2x2 pixels is two runs of 2 C floats.

#include <wasm_simd128.h>

#define INLINE static inline __attribute__((always_inline))
#define EXPORT(name) __attribute__((export_name(name)))

// A byte per logit from -8 to 8, in steps of 1/256: see decoder.js.
#define LOGIT_STEPS 256.0f
#define LOGIT_OFFSET 2048.0f
#define LAST_LOGIT 4095.0f

// Sums of products for `positions` windows and 4 `vectors` outputs, all held in registers.
// Window k is `runs` runs of `length` floats, `row` floats apart, from in + k depth; its outputs
// go to out + k step. Weights are (runs, length, 4 vectors).
INLINE void products(const float *in, int depth, int runs, int length, int row,
                     const float *weights, const float *bias, float *out, int step,
                     const int positions, const int vectors, const int relu) {
  v128_t sums[4][3];
  for (int k = 0; k < positions; k++)
    for (int v = 0; v < vectors; v++) sums[k][v] = wasm_v128_load(bias + 4 * v);
  for (int run = 0; run < runs; run++) {
    const float *from = in + run * row;
    for (int i = 0; i < length; i++) {
      v128_t by[3];
      for (int v = 0; v < vectors; v++) by[v] = wasm_v128_load(weights + 4 * v);
      weights += 4 * vectors;
      for (int k = 0; k < positions; k++) {
        v128_t value = wasm_v128_load32_splat(from + k * depth + i);
        for (int v = 0; v < vectors; v++)
          sums[k][v] = wasm_f32x4_add(sums[k][v], wasm_f32x4_mul(value, by[v]));
      }
    }
  }
  for (int k = 0; k < positions; k++)
    for (int v = 0; v < vectors; v++) {
      v128_t sum = sums[k][v];
      if (relu) sum = wasm_f32x4_pmax(wasm_f32x4_splat(0), sum);
      wasm_v128_store(out + k * step + 4 * v, sum);
    }
}

// A linear layer and ReLU: (rows, depth) to (rows, outputs). Weights are (outputs / 8, depth, 8).
EXPORT("linear")
void linear(const float *in, int rows, int depth, const float *weights, const float *bias,
            int outputs, float *out) {
  for (int first = 0; first < outputs; first += 8, weights += 8 * depth) {
    int row = 0;
    for (; row + 4 <= rows; row += 4)
      products(in + row * depth, depth, 1, depth, 0, weights, bias + first,
               out + row * outputs + first, outputs, 4, 2, 1);
    for (; row < rows; row++)
      products(in + row * depth, depth, 1, depth, 0, weights, bias + first,
               out + row * outputs + first, outputs, 1, 2, 1);
  }
}

// A 4x4 transposed convolution of stride 2 and padding 1, and ReLU: a map of size x size pixels to
// one of twice the size, both with their borders. Pixels (2y + a, 2x + b) of the result, for each of
// the four (a, b), are a 2x2 convolution. Weights are (a, b, outputs / 8, 2, 2, depth, 8).
EXPORT("doubling")
void doubling(const float *in, int size, int depth, const float *weights, const float *bias,
              int outputs, float *out) {
  int row = (size + 2) * depth, row_out = (2 * size + 2) * outputs;
  for (int a = 0; a < 2; a++)
    for (int b = 0; b < 2; b++)
      for (int first = 0; first < outputs; first += 8, weights += 32 * depth)
        for (int y = 0; y < size; y++)
          for (int x = 0; x < size; x += 4)
            products(in + (y + a) * row + (x + b) * depth, depth, 2, 2 * depth, row, weights,
                     bias + first,
                     out + (2 * y + a + 1) * row_out + (2 * x + b + 1) * outputs + first,
                     2 * outputs, 4, 2, 1);
}

INLINE unsigned char byte_of(float logit, const unsigned char *bytes) {
  float place = logit * LOGIT_STEPS + LOGIT_OFFSET;
  if (!(place > 0)) place = 0;
  if (place > LAST_LOGIT) place = LAST_LOGIT;
  return bytes[(int)place];
}

INLINE void pixels_of(const float *in, int size, int depth, const float *weights,
                      const float *bias, const unsigned char *bytes, unsigned char *pixels,
                      const int channels) {
  int row = (size + 2) * depth, side = 2 * size;
  float blocks[4 * 12];
  for (int y = 0; y <= size; y++)
    for (int x = 0; x <= size; x += 4) {
      const float *from = in + y * row + x * depth;
      int count = x < size ? 4 : 1;
      if (count == 4)
        products(from, depth, 2, 2 * depth, row, weights, bias, blocks, 4 * channels, 4, channels,
                 0);
      else
        products(from, depth, 2, 2 * depth, row, weights, bias, blocks, 4 * channels, 1, channels,
                 0);
      const float *logit = blocks;
      for (int k = 0; k < count; k++)
        for (int channel = 0; channel < channels; channel++)
          for (int a = 0; a < 2; a++)
            for (int b = 0; b < 2; b++, logit++) {
              int to_y = 2 * y - 1 + a, to_x = 2 * (x + k) - 1 + b;
              if (to_y < 0 || to_x < 0 || to_y >= side || to_x >= side) continue;
              pixels[(channel * side + to_y) * side + to_x] = byte_of(*logit, bytes);
            }
    }
}

// The last transposed convolution, sigmoid and rounding: a map with its border to bytes
// (channels, 2 size, 2 size), for 1 or 3 channels. Each block of 2x2 pixels, the first one reaching
// outside by one pixel, is a 2x2 convolution. Weights are (2, 2, depth, channels, 2, 2).
EXPORT("last")
void last(const float *in, int size, int depth, const float *weights, const float *bias,
          const unsigned char *bytes, int channels, unsigned char *pixels) {
  if (channels == 1)
    pixels_of(in, size, depth, weights, bias, bytes, pixels, 1);
  else
    pixels_of(in, size, depth, weights, bias, bytes, pixels, 3);
}
