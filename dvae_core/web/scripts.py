"""Scripts and style sheets of this folder, each as one text without imports."""

import base64
import json
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent


@cache
def decoder_script() -> str:
    """decoder.js with its worker and kernel inside: defines `createDecoder`."""
    kernel = base64.b64encode((FOLDER / "decoder_kernel.wasm").read_bytes()).decode()
    worker = json.dumps(_read("decoder_worker.js"))
    return _read("decoder.js").replace('"@WORKER@"', worker).replace("@KERNEL@", kernel)


@cache
def board_script() -> str:
    """The latent board and its decoder: defines `Board`."""
    return "\n".join([decoder_script(), _read("board_tools.js"), _read("board.js")])


def board_style() -> str:
    """The style sheet of the latent board."""
    return _read("board.css")


def _read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")
