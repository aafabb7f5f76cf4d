"""The decoder of a run for a browser: its weights, packed.

`pack_decoder` gives bytes for `createDecoder` of decoder.js. Their layout, little endian:

    bytes 0 to 7     "dvaedec1"
    bytes 8 to 11    uint32, CRC-32 of all that follows
    bytes 12 to 15   uint32, bytes of the header, a multiple of 4
    header           JSON, filled with spaces:
                       image_shape  [C, H, W]
                       num_latents  N
                       hidden       256, outputs of the first layer
                       widths       channels that each transposed convolution reads
    layers           in their order; of each, one after the other:
                       float32  biases, (outputs,)
                       float32  scales, (outputs,); (a, b, outputs) of a transposed convolution
                       int16    integers: a weight is its integer times the scale of its output

    integers of linear layers                (outputs / 8, inputs, 8)
             of transposed convolutions      (a, b, outputs / 8, p, q, inputs, 8)
             of the last one                 (p, q, inputs, C, a, b), with 4 C outputs

Pixels (2y + a, 2x + b) of a transposed convolution are a 2x2 convolution with weights (p, q) of
their own; the kernels in the browser compute eight outputs at a time. The last one gives blocks of
2x2 pixels, from one row and column outside of the image. The outputs of the second linear layer are
a map (4, 4, 64), channels last, as all maps are in the browser.

Integers of 16 bits with a scale per output take as many bytes as float16, but they round the
largest weights of an output, which dominate the error, eight times as finely, and cannot overflow.
Over a thousand codes of each shipped run, float16 changes pixels by up to 1.3/255, these integers
by up to 0.4/255.
"""

import json
import zlib

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from dvae_core.errors import ModelError
from dvae_core.models.networks import MAP_CHANNELS, MAP_SIZE, Decoder
from dvae_core.models.vae import VAE

MAGIC = b"dvaedec1"
BLOCK = 8  # outputs that the kernels compute together
LARGEST = 32767  # of int16
# Rows and columns of the 4x4 kernel by (a, p): of what adds to pixels 2y + a, those of the pixel
# above and of the pixel below.
TAPS = np.array([[3, 1], [2, 0]])


def pack_decoder(model: VAE) -> bytes:
    """The decoder of a model for `createDecoder`, about 2 bytes a weight: 0.8 MB for 64x64 images.

    Raises:
        ModelError: the decoder is imported or of another architecture, or has weights that are not
            finite; only the server can run it.
    """
    decoder = model.decoder
    if type(decoder) is not Decoder:
        raise ModelError(
            f"the decoder is {type(decoder).__name__}, not a network of this package, so it cannot "
            f"run in a browser: show its images from the server"
        )
    convolutions = [m for m in decoder.convolutions if isinstance(m, nn.ConvTranspose2d)]
    layers = b"".join(
        [
            _linear(decoder.hidden, np.arange(decoder.hidden.out_features)),
            _linear(decoder.maps, _channels_last()),
            *map(_transposed_convolution, convolutions[:-1]),
            _last_convolution(convolutions[-1]),
        ]
    )
    header = {
        "image_shape": list(model.image_shape),
        "num_latents": decoder.hidden.in_features,
        "hidden": decoder.hidden.out_features,
        "widths": [convolution.in_channels for convolution in convolutions],
    }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 4)
    checked = len(text).to_bytes(4, "little") + text + layers
    return MAGIC + zlib.crc32(checked).to_bytes(4, "little") + checked


def _linear(layer: nn.Linear, order: NDArray[np.int64]) -> bytes:
    """A linear layer whose outputs are put into this order."""
    weights, bias = _array(layer.weight)[order], _array(layer.bias)[order]
    integers, scales = _quantized(weights)
    blocks = integers.reshape(-1, BLOCK, layer.in_features).transpose(0, 2, 1)
    return _layer(bias, scales, blocks)


def _transposed_convolution(layer: nn.ConvTranspose2d) -> bytes:
    assert layer.bias is not None
    phases = np.moveaxis(_phases(layer), 0, 2)  # (a, b, outputs, p, q, inputs)
    integers, scales = _quantized(phases.reshape(-1, *phases.shape[3:]))
    blocks = integers.reshape(4, -1, BLOCK, *phases.shape[3:]).transpose(0, 1, 3, 4, 5, 2)
    return _layer(_array(layer.bias), scales, blocks)


def _last_convolution(layer: nn.ConvTranspose2d) -> bytes:
    assert layer.bias is not None
    # Its blocks begin one pixel earlier: their first row and column are odd.
    phases = _phases(layer)[:, ::-1, ::-1]
    integers, scales = _quantized(phases.reshape(-1, *phases.shape[3:]))
    return _layer(_array(layer.bias).repeat(4), scales, integers.transpose(1, 2, 3, 0))


def _phases(layer: nn.ConvTranspose2d) -> NDArray[np.float32]:
    """Weights (outputs, a, b, p, q, inputs) of a transposed convolution as four convolutions."""
    weights = _array(layer.weight)  # (inputs, outputs, 4, 4)
    phases = weights[:, :, TAPS[:, None, :, None], TAPS[None, :, None, :]]
    return np.moveaxis(phases, 0, -1)


def _channels_last() -> NDArray[np.int64]:
    """Where each output of a map (4, 4, 64) is in a map (64, 4, 4)."""
    places = np.arange(MAP_CHANNELS * MAP_SIZE * MAP_SIZE)
    return places.reshape(MAP_CHANNELS, MAP_SIZE, MAP_SIZE).transpose(1, 2, 0).ravel()


def _quantized(weights: NDArray[np.float32]) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
    """Integers and the scale of each output, for weights (outputs, ..)."""
    if not np.isfinite(weights).all():
        raise ModelError("the decoder has weights that are not finite: train the run again")
    largest = np.abs(weights).reshape(len(weights), -1).max(1)
    scales = np.where(largest > 0, largest / LARGEST, 1).astype(np.float32)
    shape = (-1, *[1] * (weights.ndim - 1))
    return np.rint(weights / scales.reshape(shape)).astype(np.int16), scales


def _layer(
    bias: NDArray[np.float32], scales: NDArray[np.float32], weights: NDArray[np.int16]
) -> bytes:
    return (
        bias.astype("<f4").tobytes()
        + scales.astype("<f4").tobytes()
        + (weights.astype("<i2").tobytes())
    )


def _array(tensor: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.detach().cpu().float().numpy()
    return array
