"""Time to encode 640 images of 64x64, to decode 640 codes, and to pack the frames of a board.

    python -m benchmarks.codec

The networks are untrained, which affects only the time of packing; packing is therefore measured
on frames of the shipped runs. `plain` is the same decoder made of PyTorch's own layers in their
default memory layout, on the same codes, in the same process.
"""

import statistics
from collections.abc import Callable
from functools import partial

import torch

from benchmarks.plain import PlainDecoder
from benchmarks.tables import head, row
from benchmarks.timing import seconds
from dvae_core.analysis.traversal import decode_codes, to_pixels, traversal_rows, traverse_all
from dvae_core.config import ModelConfig
from dvae_core.data import load_dataset
from dvae_core.models.vae import VAE, build_model
from dvae_core.runs.catalog import SHIPPED_ROOT, list_runs
from dvae_core.system.memory import keep_freed_memory
from dvae_core.web.board import encode_frames

FRAMES = 640
REPEATS = 15


def main() -> None:
    keep_freed_memory()  # as the app does
    print(head("what", "ms", "a second"))
    for channels, colours in ((1, "grey"), (3, "RGB")):
        model = build_model(ModelConfig(), (channels, 64, 64), torch.Generator().manual_seed(0))
        model.requires_grad_(False).eval()
        codes, images = torch.rand(FRAMES, 10) * 2 - 1, torch.rand(FRAMES, channels, 64, 64)
        report(f"encode {FRAMES} {colours} images", _of_encoding(model, images))
        report(f"decode {FRAMES} {colours} codes", partial(decode_codes, model, codes))
        report(f"decode {FRAMES} {colours} codes, plain", _of_plain_decoding(model, codes))
    for run in list_runs(SHIPPED_ROOT):
        shipped = run.load_model()
        dataset = load_dataset(run.record.dataset, run.record.image_size)
        with torch.inference_mode():
            image = dataset.sample_images(1, torch.Generator().manual_seed(0))
            code = shipped.encode(image).mean_code()[0]
            rows = traverse_all(shipped, code, traversal_rows(shipped))
            frames = [to_pixels(images) for images in rows]
        start = to_pixels(image)[0]
        megabytes = len(encode_frames(frames, start, "").packed) / 1e6
        report(
            f"pack {sum(map(len, frames))} frames of {run.id}, {megabytes:.2f} MB",
            partial(encode_frames, frames, start, ""),
            sum(map(len, frames)),
        )


def report(what: str, work: Callable[[], object], count: int = FRAMES) -> None:
    """Print a row with the median time of 15 calls."""
    median = statistics.median(seconds(work, REPEATS))
    print(row(what, f"{1e3 * median:.0f}", f"{count / median:,.0f}"))


def _of_encoding(model: VAE, images: torch.Tensor) -> Callable[[], object]:
    @torch.inference_mode()
    def encode() -> None:
        for batch in images.split(256):
            model.encode(batch).mean_code()

    return encode


def _of_plain_decoding(model: VAE, codes: torch.Tensor) -> Callable[[], object]:
    plain = PlainDecoder(model.image_shape[0], 64, codes.shape[1])
    plain.load_state_dict(model.decoder.state_dict())

    @torch.inference_mode()
    def decode() -> None:
        torch.cat([plain(batch).sigmoid() for batch in codes.split(256)])

    return decode


if __name__ == "__main__":
    main()
