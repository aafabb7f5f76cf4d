"""Whether two ONNX files are an encoder and a decoder: what they answer to a trial batch.

It runs in the child process that `check.py` starts, so it imports neither torch nor pydantic. Every
failure is a `ModelError` whose message begins with the part it is about.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dvae_core.errors import ModelError
from dvae_core.onnx.graph import Graph, TensorPort, read_graph
from dvae_core.onnx.session import BATCH, Floats, Session, encoder_input, latent_parameters
from dvae_core.system.sandbox import Answer

MAX_LATENTS = 64
CATEGORIES = range(2, 513)
SIDES = range(32, 129)
LOG_VARIANCES = (-100.0, 20.0)
# How far a decoder that ends in no sigmoid may leave the range of an image; it is cut off there.
OVERSHOOT = 0.5
_RANGES = {"image": (0.0, 1.0), "signed": (-1.0, 1.0), "logits": (-1e4, 1e4)}


@dataclass(frozen=True)
class TrialRequest:
    """What a pair of files is meant to be.

    Attributes:
        has_categories: whether the encoder gives logits of categories, and not means and log
            variances.
        num_categories: K, where it is known.
        code_bounds: least and greatest category value.
        interleaved: see `OnnxLayout`.
        encoder_input: see `OnnxLayout`.
        decoder_output: see `OnnxLayout`.
    """

    has_categories: bool
    num_categories: int | None
    code_bounds: tuple[float, float]
    interleaved: bool
    encoder_input: str
    decoder_output: str


@dataclass
class Report:
    """What was found: attributes of `CheckedModel`, and of each part's `CheckedFile`."""

    num_latents: int = 0
    num_categories: int | None = None
    image_shape: tuple[int, int, int] = (0, 0, 0)
    opsets: dict[str, int] = field(default_factory=dict)
    one_at_a_time: dict[str, bool] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def try_files(files: dict[str, str], asked: dict[str, Any]) -> Answer:
    """A `Report` and the SHA-256 of each file that was read.

    Args:
        files: paths of `decoder` and, where there is one, `encoder`.
        asked: fields of a `TrialRequest`.
    """
    contents = {part: Path(path).read_bytes() for part, path in files.items()}
    report = try_model(contents.get("encoder"), contents["decoder"], TrialRequest(**asked))
    hashes = {part: hashlib.sha256(content).hexdigest() for part, content in contents.items()}
    return {"report": asdict(report), "sha256": hashes}, b""


def try_model(encoder: bytes | None, decoder: bytes, request: TrialRequest) -> Report:
    """Try both files on random codes and images.

    Raises:
        ModelError: they do not fit the request, or each other.
    """
    report = Report()
    random = np.random.default_rng(0)
    with _about("decoder"):
        _try_decoder(decoder, request, report, random)
    if encoder is not None:
        with _about("encoder"):
            _try_encoder(encoder, request, report, random)
    return report


def _try_decoder(
    content: bytes, request: TrialRequest, report: Report, random: np.random.Generator
) -> None:
    graph = read_graph(content)
    shape = graph.input.shape
    if shape is None or len(shape) != 2 or shape[1] is None:
        raise ModelError(f"it takes {_shown(graph.input)}, but needs codes (batch, N) of a fixed N")
    report.num_latents = shape[1]
    if not 1 <= shape[1] <= MAX_LATENTS:
        raise ModelError(f"it takes codes of {shape[1]} latents, but 1 to {MAX_LATENTS} are read")
    if len(graph.outputs) != 1:
        raise ModelError(f"it gives {len(graph.outputs)} outputs, but needs one, the image")
    if request.has_categories:
        codes = random.uniform(*request.code_bounds, (BATCH, shape[1]))
    else:
        codes = random.standard_normal((BATCH, shape[1]))
    (images,) = _try_batches("decoder", content, graph, codes.astype(np.float32), report)
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise ModelError(
            f"it gives {_batch_shape(images)}, but needs images (batch, C, H, W) of 1 or 3 channels"
        )
    _, channels, height, width = images.shape
    if height != width or height not in SIDES:
        raise ModelError(
            f"it gives images of {height}x{width}, but square ones of {SIDES[0]} to {SIDES[-1]} "
            f"pixels are read"
        )
    report.image_shape = (channels, height, width)
    _check_image_range(images, request.decoder_output, report)


def _check_image_range(images: Floats, kind: str, report: Report) -> None:
    least, greatest = float(images.min()), float(images.max())
    low, high = _RANGES[kind]
    found = f"its values go from {least:.3g} to {greatest:.3g}"
    if least < low - OVERSHOOT or greatest > high + OVERSHOOT:
        other = (
            "signed for a tanh, or logits where a sigmoid is to follow"
            if kind == "image"
            else "logits where a sigmoid is to follow"
        )
        advice = f": pass --decoder-output {other}" if kind != "logits" else ""
        raise ModelError(f"{found}, but {low:g} to {high:g} were announced ({kind}){advice}")
    if least < low - 0.01 or greatest > high + 0.01:
        report.notes.append(
            f"decoder: {found}; what is outside of {low:g} to {high:g} will be cut off"
        )
    if kind != "image" and least >= 0.0 and greatest <= 1.0:
        report.notes.append(
            f"decoder: {found}; if these are images already, pass --decoder-output image"
        )


def _try_encoder(
    content: bytes, request: TrialRequest, report: Report, random: np.random.Generator
) -> None:
    graph = read_graph(content)
    wanted = (None, *report.image_shape)
    shape = graph.input.shape
    if shape is None or not _compatible(shape[1:], wanted[1:]):
        needed = "x".join(map(str, report.image_shape))
        raise ModelError(
            f"it takes {_shown(graph.input)}, but the decoder gives images of (batch, C, H, W) "
            f"with {needed}: both need the same shape"
        )
    images = random.random((BATCH, *report.image_shape), np.float32)
    images[0], images[1] = 0.0, 1.0
    batch = encoder_input(images, request.encoder_input)
    outputs = _try_batches("encoder", content, graph, batch, report)
    if request.has_categories:
        _check_categorical(outputs, request.num_categories, report)
    else:
        _check_gaussian(outputs, request.interleaved, report)


def _check_gaussian(outputs: list[Floats], interleaved: bool, report: Report) -> None:
    n = report.num_latents
    found = " and ".join(_batch_shape(output) for output in outputs)
    shapes = [output.shape[1:] for output in outputs]
    if shapes not in ([(n,), (n,)], [(2 * n,)]):
        raise ModelError(
            f"it gives {found}, but the decoder takes {n} latents: needed are means and log "
            f"variances, two outputs of (batch, {n}) or one of (batch, {2 * n})"
        )
    if interleaved and len(outputs) == 2:
        raise ModelError("it gives two outputs, so there is nothing interleaved: leave that out")
    log_variances = latent_parameters(outputs, interleaved)[:, n:]
    least, greatest = float(log_variances.min()), float(log_variances.max())
    low, high = LOG_VARIANCES
    if least < low or greatest > high:
        raise ModelError(
            f"its log variances go from {least:.3g} to {greatest:.3g}, but {low:g} to {high:g} are "
            f"plausible: is the order of the outputs mean, log variance?"
        )
    if least > 0:
        report.notes.append(
            "encoder: all log variances are above 0; if they are variances or standard deviations, "
            "export their logarithms"
        )


def _check_categorical(outputs: list[Floats], num_categories: int | None, report: Report) -> None:
    n = report.num_latents
    found = " and ".join(_batch_shape(output) for output in outputs)
    size = outputs[0][0].size
    k = num_categories or size // n
    fits = outputs[0].shape[1:] in ((n, k), (n * k,))
    if len(outputs) != 1 or not fits or k not in CATEGORIES:
        wanted = num_categories or "K"
        raise ModelError(
            f"it gives {found}, but the decoder takes {n} latents: needed are logits of "
            f"(batch, {n}, {wanted}), or the same in one row, for {CATEGORIES[0]} to "
            f"{CATEGORIES[-1]} categories K"
        )
    report.num_categories = k


def _try_batches(
    part: str, content: bytes, graph: Graph, batch: Floats, report: Report
) -> list[Floats]:
    """Outputs for the whole batch, by one run or, where that is all it takes, one by one."""
    assert graph.input.shape is not None
    fixed = graph.input.shape[0]
    if fixed not in (None, 1):
        raise ModelError(
            f"its batch is fixed at {fixed}: export it with a batch that is dynamic, or of 1"
        )
    session = Session(content)
    single = [session.run_once(batch[i : i + 1]) for i in range(len(batch))]
    one_by_one = [np.concatenate(outputs) for outputs in zip(*single, strict=True)]
    if any(len(output) != len(batch) for output in one_by_one):
        raise ModelError(f"it gives {_batch_shape(single[0][0])} for one image or code")
    one_at_a_time = fixed == 1
    if not one_at_a_time:
        try:
            together = session.run_once(batch)
            one_at_a_time = [o.shape for o in together] != [o.shape for o in one_by_one]
        except ModelError:
            one_at_a_time = True
    report.opsets[part] = graph.opset
    report.one_at_a_time[part] = one_at_a_time
    if one_at_a_time:
        report.notes.append(
            f"{part}: it takes one at a time, which is slower; export it with a dynamic batch"
        )
    else:
        _check_same(together, one_by_one, "a batch of several than for each of them alone")
        _check_same(together, session.run_once(batch), "the same batch when it is run again")
    return one_by_one


def _check_same(first: list[Floats], second: list[Floats], what: str) -> None:
    for a, b in zip(first, second, strict=True):
        # Other batch sizes take other kernels, which round otherwise.
        if not np.allclose(a, b, rtol=1e-3, atol=1e-3):
            raise ModelError(
                f"its output changes for {what}: call .eval() before the export, so that nothing "
                f"is drawn and batch normalisation is fixed"
            )


def _compatible(found: tuple[int | None, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(found) == len(wanted) and all(
        a is None or a == b for a, b in zip(found, wanted, strict=True)
    )


def _shown(port: TensorPort) -> str:
    if port.shape is None:
        return "an input of open rank"
    return "(" + ", ".join("?" if n is None else str(n) for n in port.shape) + ")"


def _batch_shape(output: Any) -> str:
    return "(" + ", ".join(["batch", *map(str, output.shape[1:])]) + ")"


@contextmanager
def _about(part: str) -> Iterator[None]:
    try:
        yield
    except ModelError as error:
        raise ModelError(f"{part}: {error}") from None
