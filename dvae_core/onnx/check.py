"""Checking the ONNX files of a model in a child process, and opening what passed."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from dvae_core.config import FAMILIES, FamilyName
from dvae_core.errors import ModelError, printable
from dvae_core.onnx.description import OnnxLayout
from dvae_core.system.sandbox import Refused, SandboxError, SandboxProcess

MAX_FILE_BYTES = 256 * 2**20
SECONDS = 60  # CPU time for about 200 images and codes of both files
MEMORY_BYTES = 3 * 2**30
_MAX_TEXT = 400
# Files that people have instead of ONNX files, by their suffix.
_CHECKPOINTS = {
    **dict.fromkeys((".pt", ".pth", ".ckpt"), "PyTorch checkpoint"),
    ".safetensors": "safetensors file",
}
READING_FIELDS = set(OnnxLayout.model_fields) - {"fix"}  # the fields of a `Reading`
_OPERATION = "dvae_core.onnx.trial:try_files"


@dataclass(frozen=True)
class CheckedFile:
    """A file that passed the check.

    Attributes:
        content: the bytes of the file.
        runnable: the checked bytes: the file without the nodes that no output needs.
        sha256: hash of `content`.
        opset: version of its operators.
        one_at_a_time: whether its batch size is fixed at 1.
    """

    content: bytes
    runnable: bytes
    sha256: str
    opset: int
    one_at_a_time: bool


@dataclass(frozen=True)
class CheckedModel:
    """A model that passed the check.

    Attributes:
        num_latents: N.
        num_categories: K; None for Gaussian latents, and where no file shows it.
        image_shape: (C, H, W).
        layout: how to read the tensors, complete.
        encoder: None for a model without encoder.
        decoder: codes to images.
        notes: remarks for the user, one sentence each.
    """

    num_latents: int
    num_categories: int | None
    image_shape: tuple[int, int, int]
    layout: OnnxLayout
    encoder: CheckedFile | None
    decoder: CheckedFile
    notes: tuple[str, ...]


def check_model(
    encoder: Path | None,
    decoder: Path,
    latents: FamilyName,
    layout: OnnxLayout,
    num_categories: int | None = None,
    code_bounds: tuple[float, float] = (-1.0, 1.0),
) -> CheckedModel:
    """Check both files and run them on random images and codes, in a child process.

    Args:
        encoder: images (B, C, H, W) to the parameters of the latents, or None.
        decoder: codes (B, N) to images (B, C, H, W).
        latents: expected latent family.
        layout: how to read the tensors, as far as it is known.
        num_categories: K, if it is known.
        code_bounds: smallest and largest category value.

    Raises:
        ModelError: the files are unsafe, or do not fit the arguments or each other.
    """
    paths = {"decoder": decoder} | ({"encoder": encoder} if encoder is not None else {})
    for part, path in paths.items():
        _check_is_model_file(part, path)
    request = {
        "files": {part: str(path) for part, path in paths.items()},
        "asked": {
            "has_categories": FAMILIES[latents].has_categories,
            "num_categories": num_categories,
            "code_bounds": code_bounds,
            "fixed": layout.fixed,
            "reading": layout.model_dump(include=READING_FIELDS),
        },
    }
    try:
        with SandboxProcess(MEMORY_BYTES) as child:
            answer, data = child.ask(_OPERATION, request, SECONDS)
    except Refused as refusal:
        raise ModelError(printable(refusal, _MAX_TEXT)) from None
    except SandboxError as error:
        names = " and ".join(printable(path.name) for path in paths.values())
        raise ModelError(f"{names} cannot be read: {printable(error, _MAX_TEXT)}") from None
    report = answer["report"]
    files, runnable = {}, {}
    for part, size in answer["runnable"].items():
        runnable[part], data = data[:size], data[size:]
    for part, path in paths.items():
        content = path.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        if sha256 != answer["sha256"][part]:
            raise ModelError(f"{part}: {printable(path.name)} changed while it was read: try again")
        files[part] = CheckedFile(
            content=content,
            runnable=runnable.get(part, content),
            sha256=sha256,
            opset=report["opsets"][part],
            one_at_a_time=report["one_at_a_time"][part],
        )
    return CheckedModel(
        num_latents=report["num_latents"],
        num_categories=report["num_categories"],
        image_shape=tuple(report["image_shape"]),
        layout=OnnxLayout(**report["reading"], fix=layout.fix),
        encoder=files.get("encoder"),
        decoder=files["decoder"],
        notes=tuple(printable(note, _MAX_TEXT) for note in report["notes"]),
    )


def _check_is_model_file(part: str, path: Path) -> None:
    shown = printable(path, 200)
    if not path.is_file():  # a device or a pipe may never end
        raise ModelError(f"{part}: {shown} does not exist or is not a regular file")
    if kind := _CHECKPOINTS.get(path.suffix.lower()):
        example = "images" if part == "encoder" else "codes"
        raise ModelError(
            f"{part}: {printable(path.name)} is a {kind}, but must be an ONNX file: "
            f"export the network first, as in torch.onnx.export(model.{part}, ({example},), "
            f'"{part}.onnx", dynamo=True, external_data=False) (docs/models.md has recipes)'
        )
    if path.stat().st_size > MAX_FILE_BYTES:
        raise ModelError(f"{part}: {shown} is larger than {MAX_FILE_BYTES // 2**20} MB")
