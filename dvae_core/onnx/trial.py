"""Running an encoder and a decoder in ONNX on a trial batch.

This module runs in the child process that `check.py` starts, so it imports neither torch nor
pydantic. Every failure is a `ModelError` whose message starts with "encoder" or "decoder".
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
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
# How far the output of a decoder without sigmoid may exceed the image range; it is then clipped.
OVERSHOOT = 0.5
_RANGES = {"image": (0.0, 1.0), "signed": (-1.0, 1.0), "logits": (-1e4, 1e4)}


@dataclass(frozen=True)
class TrialRequest:
    """The expected properties of a pair of files; see `OnnxLayout` for the last three.

    Attributes:
        has_categories: whether the encoder outputs category logits, not means and log variances.
        num_categories: K, if it is known.
        code_bounds: smallest and largest category value.
    """

    has_categories: bool
    num_categories: int | None
    code_bounds: tuple[float, float]
    interleaved: bool
    encoder_input: str
    decoder_output: str


@dataclass
class Report:
    """The attributes of `CheckedModel`, and of the `CheckedFile` of each part.

    Attributes:
        runnable: content of the files from which nodes were removed.
    """

    num_latents: int = 0
    num_categories: int | None = None
    image_shape: tuple[int, int, int] = (0, 0, 0)
    opsets: dict[str, int] = field(default_factory=dict)
    one_at_a_time: dict[str, bool] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    runnable: dict[str, bytes] = field(default_factory=dict)


def try_files(files: dict[str, str], asked: dict[str, Any]) -> Answer:
    """A `Report` and the SHA-256 of each file; as raw bytes, the runnable contents, whose sizes
    the answer has by part.

    Args:
        files: paths of `decoder` and, if there is one, `encoder`.
        asked: fields of a `TrialRequest`.
    """
    contents = {part: Path(path).read_bytes() for part, path in files.items()}
    report = try_model(contents.get("encoder"), contents["decoder"], TrialRequest(**asked))
    hashes = {part: hashlib.sha256(content).hexdigest() for part, content in contents.items()}
    contents = report.runnable
    sizes = {part: len(content) for part, content in contents.items()}
    described = asdict(replace(report, runnable={}))
    answer = {"report": described, "sha256": hashes, "runnable": sizes}
    return answer, b"".join(contents.values())


def try_model(encoder: bytes | None, decoder: bytes, request: TrialRequest) -> Report:
    """Run both files on random codes and images.

    Raises:
        ModelError: the files do not fit the request or each other.
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
        raise ModelError(f"it takes {_shown(graph.input)}, but must take codes (batch, N)")
    report.num_latents = shape[1]
    if not 1 <= shape[1] <= MAX_LATENTS:
        raise ModelError(f"it takes codes of {shape[1]} latents, but must have 1 to {MAX_LATENTS}")
    if len(graph.outputs) != 1:
        raise ModelError(f"it has {len(graph.outputs)} outputs, but must have one, the image")
    if request.has_categories:
        codes = random.uniform(*request.code_bounds, (BATCH, shape[1]))
    else:
        codes = random.standard_normal((BATCH, shape[1]))
    (images,) = _try_batches("decoder", content, graph, codes.astype(np.float32), report)
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise ModelError(
            f"it returns {_batch_shape(images)}, but must return images (batch, C, H, W) with C 1 "
            f"or 3"
        )
    _, channels, height, width = images.shape
    if height != width or height not in SIDES:
        raise ModelError(
            f"it returns images of {height}x{width}, but they must be square with {SIDES[0]} to "
            f"{SIDES[-1]} pixels a side"
        )
    report.image_shape = (channels, height, width)
    _check_image_range(images, request.decoder_output, report)


def _check_image_range(images: Floats, kind: str, report: Report) -> None:
    least, greatest = float(images.min()), float(images.max())
    low, high = _RANGES[kind]
    found = f"its values range from {least:.3g} to {greatest:.3g}"
    if least < low - OVERSHOOT or greatest > high + OVERSHOOT:
        other = (
            "signed for a tanh, or logits if a sigmoid must follow"
            if kind == "image"
            else "logits if a sigmoid must follow"
        )
        advice = f": set the decoder output to {other}" if kind != "logits" else ""
        raise ModelError(f"{found}, but {kind} means {low:g} to {high:g}{advice}")
    if least < low - 0.01 or greatest > high + 0.01:
        report.notes.append(f"decoder: {found}; values outside {low:g} to {high:g} will be clipped")
    if kind != "image" and least >= 0.0 and greatest <= 1.0:
        report.notes.append(
            f"decoder: {found}; if these are already images, set the decoder output to image"
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
            f"it takes {_shown(graph.input)}, but the decoder returns images (batch, C, H, W) of "
            f"{needed}: both need the same shape"
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
            f"it returns {found}, but the decoder takes {n} latents: return means and log "
            f"variances, as two outputs (batch, {n}) or one (batch, {2 * n})"
        )
    if interleaved and len(outputs) == 2:
        raise ModelError(
            "it has two outputs, which cannot be interleaved: say that it is not interleaved"
        )
    log_variances = latent_parameters(outputs, interleaved)[:, n:]
    least, greatest = float(log_variances.min()), float(log_variances.max())
    low, high = LOG_VARIANCES
    if least < low or greatest > high:
        raise ModelError(
            f"its log variances range from {least:.3g} to {greatest:.3g}, but {low:g} to {high:g} "
            f"is plausible: check that the order is mean, log variance"
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
            f"it returns {found}, but the decoder takes {n} latents: return logits (batch, {n}, "
            f"{wanted}), or flattened, with {CATEGORIES[0]} to {CATEGORIES[-1]} categories K"
        )
    report.num_categories = k


def _try_batches(
    part: str, content: bytes, graph: Graph, batch: Floats, report: Report
) -> list[Floats]:
    """Outputs for the whole batch; records whether the network accepts only one at a time."""
    assert graph.input.shape is not None
    fixed = graph.input.shape[0]
    if fixed not in (None, 1):
        raise ModelError(
            f"its batch is fixed at {fixed}: export it with a dynamic batch, or a batch of 1"
        )
    session = Session(graph.content)
    if graph.content != content:
        report.runnable[part] = graph.content
    single = [session.run_once(batch[i : i + 1]) for i in range(len(batch))]
    one_by_one = [np.concatenate(outputs) for outputs in zip(*single, strict=True)]
    if any(len(output) != len(batch) for output in one_by_one):
        raise ModelError(
            f"it returns {_batch_shape(single[0][0])} for a batch of one: return one result"
        )
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
            f"{part}: it runs one at a time, which is slower; export it with a dynamic batch"
        )
    else:
        _check_same(together, one_by_one, "between a batch and single images or codes")
        _check_same(together, session.run_once(batch), "between two runs of the same batch")
    return one_by_one


def _check_same(first: list[Floats], second: list[Floats], what: str) -> None:
    for a, b in zip(first, second, strict=True):
        # Other batch sizes use other kernels, which round differently.
        if not np.allclose(a, b, rtol=1e-3, atol=1e-3):
            raise ModelError(
                f"its outputs differ {what}: call .eval() before the export, which fixes dropout "
                f"and batch normalisation"
            )


def _compatible(found: tuple[int | None, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(found) == len(wanted) and all(
        a is None or a == b for a, b in zip(found, wanted, strict=True)
    )


def _shown(port: TensorPort) -> str:
    if port.shape is None:
        return "an input of free rank"
    return "(" + ", ".join("?" if n is None else str(n) for n in port.shape) + ")"


def _batch_shape(output: Any) -> str:
    return "(" + ", ".join(["batch", *map(str, output.shape[1:])]) + ")"


@contextmanager
def _about(part: str) -> Iterator[None]:
    try:
        yield
    except ModelError as error:
        raise ModelError(f"{part}: {error}") from None
