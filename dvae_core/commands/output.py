"""What commands print and draw."""

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dvae_core.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def print_json(content: Any, wanted: bool) -> None:
    """Print one machine-readable line, where it was asked for with `--json`."""
    if wanted:
        print(json.dumps(content))


@contextmanager
def progress_bar(label: str, **options: Any) -> Iterator[Callable[[int, int], None]]:
    """A bar in the terminal; yields what moves it: (done, total)."""
    from tqdm import tqdm

    with tqdm(desc=label, disable=None, **options) as bar:

        def show(done: int, total: int) -> None:
            if total != bar.total:  # another file
                bar.reset(total)
            bar.update(done - bar.n)

        yield show


def check_picture(output: Path, count: int) -> None:
    """Raise `ConfigError` unless a row of so many images can be written there."""
    if output.suffix.lower() != ".png":
        raise ConfigError(f"--output is {output}, but pictures are written as .png")
    if not 2 <= count <= 512:
        raise ConfigError(f"--count is {count}, but a row has 2 to 512 images")


def write_picture(output: Path, pixels: "NDArray[np.uint8]") -> None:
    """Write pixels (H, W, C), uint8, as a PNG."""
    from PIL import Image

    from dvae_core.system.files import write_atomically

    buffer = io.BytesIO()
    Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels).save(buffer, "PNG")
    write_atomically(output, buffer.getvalue())
