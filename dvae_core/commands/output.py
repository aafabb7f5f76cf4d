"""Lines, progress bars and pictures."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from tqdm import tqdm

from dvae_core.commands.command import check_range
from dvae_core.errors import printable
from dvae_core.system.files import check_output, write_atomically

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def say(line: str, file: TextIO | None = None) -> None:
    """Print one line, on `file` or the standard output. Names and messages in it come from files: a
    terminal would obey their control characters."""
    print(printable(line, None), file=file)


@contextmanager
def progress_bar(label: str, **options: Any) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar; yields the function that updates it from (done, total)."""
    with tqdm(desc=label, disable=None, **options) as bar:

        def show(done: int, total: int) -> None:
            if total != bar.total:  # the next file
                bar.reset(total)
            bar.update(done - bar.n)

        yield show


def check_picture(output: Path, count: int) -> None:
    """Raise `ConfigError` unless a row of 2 to 512 images can be written to a PNG `output`."""
    check_output(output, (".png",))
    check_range("--count", count, 2, 512)


def write_picture(output: Path, pixels: "NDArray[np.uint8]") -> None:
    """Write pixels, uint8 (H, W, C), as a PNG."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels).save(buffer, "PNG")
    write_atomically(output, buffer.getvalue())
