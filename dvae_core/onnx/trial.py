"""Running an encoder and a decoder in ONNX on a trial batch.

This module runs in the child process that `check.py` starts, so it imports neither torch nor
pydantic. Every failure is a `ModelError` whose message starts with "encoder" or "decoder".
"""

import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from dvae_core.errors import ModelError
from dvae_core.onnx.graph import Graph, TensorPort, check_sizes, read_graph
from dvae_core.onnx.outputs import SPREADS, choose_outputs, role_of
from dvae_core.onnx.reading import (
    LEAST_PROBABILITY,
    Reading,
    channels_first,
    encoder_input,
    log_variances,
    two_halves,
)
from dvae_core.onnx.session import BATCH, FixedInputs, Floats, Session
from dvae_core.system.sandbox import Answer, limit_further_memory

# Beyond the libraries and the weights, of which several copies exist while a file is loaded. The
# app does the same work without a limit.
MEMORY_BYTES = 512 * 2**20
_COPIES = 6
MAX_TENSOR_BYTES = MEMORY_BYTES // 4  # for one image or code
RUN_SECONDS = 10.0  # of computing for `BATCH` images or codes, together or one by one
MAX_LATENTS = 512
CATEGORIES = range(2, 513)
SIDES = range(32, 257)
LOG_VARIANCES = (-100.0, 20.0)
# How far the output of a decoder without sigmoid may exceed the image range, as a share of the
# distance from black to white; it is then clipped.
OVERSHOOT = 0.5
_RANGES = {
    "image": (0.0, 1.0),
    "signed": (-1.0, 1.0),
    "bytes": (0.0, 255.0),
    "logits": (-1e4, 1e4),
}
_UNITS = {"bytes": 255.0}  # from black to white, where that is not about 1
# An image in 0 to 255 has brighter pixels than this; logits have negative ones too.
_BRIGHT = 16.0


@dataclass(frozen=True)
class TrialRequest:
    """The expected properties of a pair of files.

    Attributes:
        has_categories: whether the encoder outputs category logits, not means and log variances.
        num_categories: K, if it is known.
        code_bounds: smallest and largest category value.
        fixed: numbers of the inputs that are neither images nor codes.
        reading: how to read the tensors, as far as it is known.
    """

    has_categories: bool
    num_categories: int | None
    code_bounds: tuple[float, float]
    fixed: FixedInputs
    reading: Reading


@dataclass
class Report:
    """The attributes of `CheckedModel`, and of the `CheckedFile` of each part.

    Attributes:
        reading: how to read the tensors, complete.
        runnable: content of the files from which nodes or outputs were removed.
    """

    num_latents: int = 0
    num_categories: int | None = None
    image_shape: tuple[int, int, int] = (0, 0, 0)
    opsets: dict[str, int] = field(default_factory=dict)
    one_at_a_time: dict[str, bool] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    reading: Reading = field(default_factory=Reading)
    runnable: dict[str, bytes] = field(default_factory=dict)


def try_files(files: dict[str, str], asked: dict[str, Any]) -> Answer:
    """A `Report` and the SHA-256 of each file; as raw bytes, the runnable contents, whose sizes
    the answer has by part.

    Args:
        files: paths of `decoder` and, if there is one, `encoder`.
        asked: fields of a `TrialRequest`; `reading` as those of a `Reading`.
    """
    sizes = [Path(path).stat().st_size for path in files.values()]
    limit_further_memory(MEMORY_BYTES + _COPIES * sum(sizes))
    contents = {part: Path(path).read_bytes() for part, path in files.items()}
    request = TrialRequest(**asked | {"reading": Reading(**asked["reading"])})
    report = try_model(contents.get("encoder"), contents["decoder"], request)
    hashes = {part: hashlib.sha256(content).hexdigest() for part, content in contents.items()}
    contents = report.runnable
    described = asdict(replace(report, runnable={}))
    lengths = {part: len(content) for part, content in contents.items()}
    answer = {"report": described, "sha256": hashes, "runnable": lengths}
    return answer, b"".join(contents.values())


def try_model(encoder: bytes | None, decoder: bytes, request: TrialRequest) -> Report:
    """Run both files on random codes and images.

    Raises:
        ModelError: the files do not fit the request or each other.
    """
    report = Report(reading=request.reading)
    random = np.random.default_rng(0)
    with _about("decoder"):
        decoder_graph = read_graph(decoder, request.fixed)
    if encoder is None:
        encoder_graph = None
    else:
        with _about("encoder"):
            encoder_graph = _read_encoder(encoder, request, report)
    _check_fixed(decoder_graph, encoder_graph, request.fixed)
    for name, numbers in request.fixed.items():
        shown = ", ".join(f"{number:g}" for number in numbers[:8])
        report.notes.append(f"the input {name[:40]!r} is fixed to {shown} in every run")
    with _about("decoder"):
        _settle_codes(decoder_graph, encoder_graph, request, report)
        _try_decoder(decoder, decoder_graph, request, report, random)
    if encoder is not None and encoder_graph is not None:
        with _about("encoder"):
            _try_encoder(encoder, encoder_graph, request, report, random)
    return report


def _settle(report: Report, **found: Any) -> None:
    report.reading = replace(report.reading, **found)


def _check_fixed(decoder: Graph, encoder: Graph | None, fixed: FixedInputs) -> None:
    used = decoder.fixed | (encoder.fixed if encoder is not None else frozenset())
    for name in fixed:
        if name not in used:
            inputs = [graph.input.name[:40] for graph in (encoder, decoder) if graph is not None]
            inputs += [other[:40] for other in sorted(used)]
            raise ModelError(
                f"no input is called {name[:40]!r}, so it cannot be fixed: the inputs that matter "
                f"are {', '.join(inputs)}"
            )


def _read_encoder(content: bytes, request: TrialRequest, report: Report) -> Graph:
    names: list[str] = []
    chosen: list[int] = []

    def choose(all_names: list[str]) -> Sequence[int]:
        names.extend(all_names)
        places = request.reading.encoder_outputs
        if places is None:
            places = choose_outputs(all_names, request.has_categories)
        chosen.extend(places or range(len(all_names)))
        return chosen

    graph = read_graph(content, request.fixed, choose)
    _settle(report, encoder_outputs=tuple(chosen))
    if chosen != list(range(len(names))) and request.reading.encoder_outputs is None:
        read = [names[place][:40] for place in chosen]
        kinds = ["logits or probabilities"] if request.has_categories else _PARAMETERS
        said = " and ".join(f"{n!r} as {kind}" for n, kind in zip(read, kinds, strict=False))
        report.notes.append(
            f"encoder: of its outputs {', '.join(n[:40] for n in names[:8])}, the import reads "
            f"{said}, by their names"
        )
    return graph


_PARAMETERS = ["means", "log variances, or what stands for them"]


def _settle_codes(
    decoder: Graph, encoder: Graph | None, request: TrialRequest, report: Report
) -> None:
    """Find out what the decoder reads, N, and K if it is known."""
    shape = decoder.input.shape
    wanted = "codes (batch, N)"
    if request.has_categories:
        wanted += ", or one-hot rows (batch, N, K) or (batch, N * K)"
    if shape is None or len(shape) not in (2, 3) or None in shape[1:]:
        raise ModelError(f"it takes {_shown(decoder.input)}, but must take {wanted}")
    sizes = [size for size in shape[1:] if size is not None]
    codes_as = request.reading.codes_as
    num_categories = request.num_categories
    if codes_as is None:
        codes_as = "values"
        if request.has_categories and len(sizes) == 2:
            codes_as = "one_hot"
        elif request.has_categories and encoder is not None:
            # Values are fewer than the logits; one-hot rows are as many.
            logits = encoder.outputs[0].shape
            if logits is not None and None not in logits[1:]:
                each = [size for size in logits[1:] if size is not None]
                if int(np.prod(each)) == sizes[0]:
                    codes_as = "flat_one_hot"
                    num_categories = each[1] if len(each) == 2 else num_categories
    if (codes_as == "one_hot") != (len(sizes) == 2):
        raise ModelError(f"it takes {_shown(decoder.input)}, but must take {wanted}")
    report.num_latents = sizes[0]
    if codes_as == "one_hot":
        num_categories = sizes[1]
    elif codes_as == "flat_one_hot":
        if num_categories is None:
            raise ModelError(
                f"it takes as many numbers as the encoder returns, {sizes[0]}, so they are one-hot "
                f"rows of N latents with K categories: give the number of categories"
            )
        if sizes[0] % num_categories:
            raise ModelError(
                f"it takes {sizes[0]} numbers, which are no one-hot rows of {num_categories} "
                f"categories: give another number of categories"
            )
        report.num_latents = sizes[0] // num_categories
    _settle(report, codes_as=codes_as)
    if not 1 <= report.num_latents <= MAX_LATENTS:
        raise ModelError(
            f"it takes codes of {report.num_latents} latents, but must have 1 to {MAX_LATENTS}"
        )
    if codes_as == "values":
        return
    assert num_categories is not None
    if num_categories not in CATEGORIES or num_categories != (
        request.num_categories or num_categories
    ):
        wanted_count = request.num_categories or f"{CATEGORIES[0]} to {CATEGORIES[-1]}"
        raise ModelError(
            f"it takes one-hot rows of {num_categories} categories, but must have {wanted_count}"
        )
    report.num_categories = num_categories
    report.notes.append(
        f"decoder: it reads one-hot rows of {report.num_latents} latents with {num_categories} "
        f"categories; a code between two category values becomes a mixture of these two"
    )


def _trial_codes(request: TrialRequest, report: Report, random: np.random.Generator) -> Floats:
    n, k = report.num_latents, report.num_categories
    if not request.has_categories:
        return random.standard_normal((BATCH, n)).astype(np.float32)
    if k is None or report.reading.codes_as == "values":
        return random.uniform(*request.code_bounds, (BATCH, n)).astype(np.float32)
    rows = np.eye(k, dtype=np.float32)[random.integers(0, k, (BATCH, n))]
    return rows if report.reading.codes_as == "one_hot" else rows.reshape(BATCH, n * k)


def _try_decoder(
    content: bytes,
    graph: Graph,
    request: TrialRequest,
    report: Report,
    random: np.random.Generator,
) -> None:
    if len(graph.outputs) != 1:
        raise ModelError(f"it has {len(graph.outputs)} outputs, but must have one, the image")
    codes = _trial_codes(request, report, random)
    (images,) = _try_batches("decoder", content, graph, codes, request, report)
    channels = request.reading.decoder_channels
    if channels is None:
        shape = images.shape
        last = len(shape) == 4 and shape[1] not in (1, 3) and shape[3] in (1, 3)
        channels = "last" if last else "first"
        if last:
            report.notes.append(
                f"decoder: it returns {_batch_shape(images)}, with the channels last; the images "
                f"are transposed"
            )
    _settle(report, decoder_channels=channels)
    if images.ndim == 4:
        images = channels_first(images, channels)
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise ModelError(
            f"it returns {_batch_shape(images)}, but must return images (batch, C, H, W) or "
            f"(batch, H, W, C) with C 1 or 3"
        )
    _, num_channels, height, width = images.shape
    if height not in SIDES or width not in SIDES:
        raise ModelError(
            f"it returns images of {height}x{width}, but they must have {SIDES[0]} to {SIDES[-1]} "
            f"pixels a side"
        )
    report.image_shape = (num_channels, height, width)
    _check_image_range(images, report)


def _check_image_range(images: Floats, report: Report) -> None:
    kind = report.reading.decoder_output
    least, greatest = float(images.min()), float(images.max())
    found = f"its values range from {least:.3g} to {greatest:.3g}"
    white = _RANGES["bytes"][1]
    if kind == "image" and least >= -OVERSHOOT and _BRIGHT < greatest <= (1 + OVERSHOOT) * white:
        kind = "bytes"
        _settle(report, decoder_output=kind)
        report.notes.append(
            f"decoder: {found}, so they are read as 0 to 255 and divided by 255; if the encoder "
            f"reads images in 0 to 255 too, import again with the encoder input bytes"
        )
    low, high = _RANGES[kind]
    slack = OVERSHOOT * _UNITS.get(kind, 1.0)
    if least < low - slack or greatest > high + slack:
        others = {
            "signed": "signed for a tanh",
            "bytes": "bytes for 0 to 255",
            "logits": "logits if a sigmoid must follow",
        }
        advice = ", ".join(text for other, text in others.items() if other != kind)
        raise ModelError(
            f"{found}, but {kind} means {low:g} to {high:g}"
            + (f": set the decoder output to {advice}" if kind != "logits" else "")
        )
    if least < low - 0.02 * slack or greatest > high + 0.02 * slack:
        report.notes.append(f"decoder: {found}; values outside {low:g} to {high:g} will be clipped")
    if kind != "image" and least >= 0.0 and greatest <= 1.0:
        report.notes.append(
            f"decoder: {found}; if these are already images, set the decoder output to image"
        )


def _try_encoder(
    content: bytes,
    graph: Graph,
    request: TrialRequest,
    report: Report,
    random: np.random.Generator,
) -> None:
    c, h, w = report.image_shape
    shape = graph.input.shape
    asked = request.reading.encoder_channels
    layouts = {"first": (c, h, w), "last": (h, w, c)}
    channels = next(
        (
            name
            for name, wanted in layouts.items()
            if asked in (None, name) and shape is not None and _compatible(shape[1:], wanted)
        ),
        None,
    )
    if channels is None:
        raise ModelError(
            f"it takes {_shown(graph.input)}, but the decoder returns images (batch, C, H, W) of "
            f"{c}x{h}x{w}: both need the same shape"
        )
    _settle(report, encoder_channels=channels)
    if asked is None and channels == "last":
        report.notes.append(
            f"encoder: it takes {_shown(graph.input)}, with the channels last; the images are "
            f"transposed"
        )
    images = random.random((BATCH, *report.image_shape), np.float32)
    images[0], images[1] = 0.0, 1.0
    batch = encoder_input(images, report.reading)
    outputs = _try_batches("encoder", content, graph, batch, request, report)
    if request.has_categories:
        _check_categorical(outputs, request, report)
    else:
        _check_gaussian(outputs, graph.outputs[-1].name, request, report)


def _check_gaussian(
    outputs: list[Floats], name: str, request: TrialRequest, report: Report
) -> None:
    """Check means and the other parameter; `name` is that of the output with the latter."""
    n = report.num_latents
    found = " and ".join(_batch_shape(output) for output in outputs)
    shapes = [output.shape[1:] for output in outputs]
    if shapes not in ([(n,), (n,)], [(2 * n,)]):
        raise ModelError(
            f"it returns {found}, but the decoder takes {n} latents: return means and log "
            f"variances, as two outputs (batch, {n}) or one (batch, {2 * n})"
        )
    if request.reading.interleaved and len(outputs) == 2:
        raise ModelError(
            "it has two outputs, which cannot be interleaved: say that it is not interleaved"
        )
    _, spreads = two_halves(outputs, request.reading.interleaved)
    variance_as = request.reading.variance_as
    positive = float(spreads.min()) > 0
    if variance_as is None:
        variance_as = _variance_by_name(name, positive, report)
    elif variance_as in ("variance", "std") and spreads.min() < 0:
        raise ModelError(
            f"it returns {spreads.min():.3g} as a {variance_as}, which must not be negative: say "
            f"log_variance or log_std"
        )
    _settle(report, variance_as=variance_as)
    found_log_variances = log_variances(spreads, variance_as)
    least, greatest = float(found_log_variances.min()), float(found_log_variances.max())
    low, high = LOG_VARIANCES
    if least < low or greatest > high:
        raise ModelError(
            f"its log variances range from {least:.3g} to {greatest:.3g}, but {low:g} to {high:g} "
            f"is plausible: check that the order is mean, log variance"
        )
    if positive and variance_as == "log_variance":
        report.notes.append(
            "encoder: all log variances are above 0; if they are variances or standard deviations, "
            "import again and say so"
        )


def _variance_by_name(name: str, positive: bool, report: Report) -> str:
    role = role_of(name)
    if role not in SPREADS or role == "log_variance":
        return "log_variance"
    said = {
        "log_std": "log standard deviations, which are doubled",
        "variance": "variances, of which the logarithm is taken",
        "std": "standard deviations, of which twice the logarithm is taken",
    }[role]
    if role != "log_std" and not positive:
        report.notes.append(
            f"encoder: its output {name[:40]!r} has values below 0, so it is read as log "
            f"variances, whatever its name says"
        )
        return "log_variance"
    report.notes.append(f"encoder: by its name, its output {name[:40]!r} holds {said}")
    return role


def _check_categorical(outputs: list[Floats], request: TrialRequest, report: Report) -> None:
    n = report.num_latents
    num_categories = request.num_categories or report.num_categories
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
    rows = outputs[0].reshape(-1, k)
    sums_to_one = bool(rows.min() >= 0 and np.abs(rows.sum(1) - 1).max() < 1e-3)
    categories_as = request.reading.categories_as
    if categories_as == "probabilities" and not sums_to_one:
        raise ModelError(
            "it returns rows that do not sum to one, so they are no probabilities: say logits"
        )
    if categories_as is None:
        categories_as = "probabilities" if sums_to_one else "logits"
        if sums_to_one:
            one_hot = bool(np.isin(rows, (0.0, 1.0)).all())
            kind = "one-hot rows" if one_hot else "probabilities"
            report.notes.append(
                f"encoder: its rows sum to one, so they are {kind}; the logits are their "
                f"logarithms, of at least {LEAST_PROBABILITY:g}"
                + ("; the KL is then ln K, whatever the image" if one_hot else "")
            )
    _settle(report, categories_as=categories_as)


def _try_batches(
    part: str,
    content: bytes,
    graph: Graph,
    batch: Floats,
    request: TrialRequest,
    report: Report,
) -> list[Floats]:
    """Outputs for the whole batch; records whether the network accepts only one at a time."""
    assert graph.input.shape is not None
    fixed = graph.input.shape[0]
    if fixed not in (None, 1):
        raise ModelError(
            f"its batch is fixed at {fixed}: export it with a dynamic batch, or a batch of 1"
        )
    check_sizes(graph.content, MAX_TENSOR_BYTES)
    session = Session(graph.content, fixed=request.fixed)
    if graph.content != content:
        report.runnable[part] = graph.content
    single = _timed(session, [batch[i : i + 1] for i in range(len(batch))])
    one_by_one = [np.concatenate(outputs) for outputs in zip(*single, strict=True)]
    if any(len(output) != len(batch) for output in one_by_one):
        raise ModelError(
            f"it returns {_batch_shape(single[0][0])} for a batch of one: return one result"
        )
    one_at_a_time = fixed == 1
    if not one_at_a_time:
        try:
            (together,) = _timed(session, [batch])
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


def _timed(session: Session, batches: list[Floats]) -> list[list[Floats]]:
    """The outputs for each batch, unless they take too long."""
    started_at = time.process_time()
    outputs = []
    for batch in batches:
        outputs.append(session.run_once(batch))
        if time.process_time() - started_at > RUN_SECONDS:
            raise ModelError(
                f"it takes more than {RUN_SECONDS:g} s of computing for {BATCH} images or codes: "
                f"export a smaller network"
            )
    return outputs


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
