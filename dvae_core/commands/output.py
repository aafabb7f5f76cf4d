"""Progress bars and pictures."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from dvae_core.errors import ConfigError
from dvae_core.system.files import write_atomically

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@contextmanager
def progress_bar(label: str, **options: Any) -> Iterator[Callable[[int, int], None]]:
    """A bar in the terminal; yields the function that moves it: (done, total)."""
    with tqdm(desc=label, disable=None, **options) as bar:

        def show(done: int, total: int) -> None:
            if total != bar.total:  # another file
                bar.reset(total)
            bar.update(done - bar.n)

        yield show


def check_picture(output: Path, count: int) -> None:
    """Raise `ConfigError` unless a row of `count` images can be written to `output`."""
    if output.suffix.lower() != ".png":
        raise ConfigError(f"--output is {output}, but pictures are written as .png")
    if not 2 <= count <= 512:
        raise ConfigError(f"--count is {count}, but a row has 2 to 512 images")


def write_picture(output: Path, pixels: "NDArray[np.uint8]") -> None:
    """Write pixels (H, W, C), uint8, as a PNG."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels).save(buffer, "PNG")
    write_atomically(output, buffer.getvalue())
