"""One or two runs as an HTML file: the latent board, opened from disk, without a server or network.

The file holds the weights of the decoders, the codes and posteriors of some images, the mutual
information, the scores and the settings. Its content security policy allows its own script and
nothing else; texts of a run are set as text by the script.
"""

import base64
import hashlib
import html
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from dvae_core.analysis.latent_profile import run_profile
from dvae_core.analysis.traversal import to_pixels
from dvae_core.config import RunConfig, describe_category_counts
from dvae_core.data import load_dataset
from dvae_core.data.dataset import Dataset
from dvae_core.errors import ConfigError, DataError
from dvae_core.evaluation.catalog import MEANINGS
from dvae_core.evaluation.results import Evaluation, ProtocolName, read_evaluation
from dvae_core.models.latents import Posterior
from dvae_core.runs.names import latent_names
from dvae_core.runs.run import Run
from dvae_core.system.files import check_output, write_atomically
from dvae_core.web.board import BoardDecoder, board_data, posterior_heights
from dvae_core.web.decoder import pack_decoder
from dvae_core.web.rows import all_values, board_rows
from dvae_core.web.scripts import FOLDER, board_script, board_style

IMAGES = 24
"""Start images of the data set."""
PRIOR_SAMPLES = 8
_DIGITS = 6  # significant ones of codes: a thousandth of the distance between 256 categories
_SIDES = ("left", "right")


@dataclass(frozen=True)
class _Starts:
    """Where a page begins: images of a data set, drawn without replacement."""

    images: Tensor  # (B, C, H, W)
    labels: list[str]


def export_page(runs: Sequence[Run], output: Path | str, *, note: str = "") -> Path:
    """Write one or two runs as a page that opens from disk.

    Args:
        runs: one run, or two with images of the same data set and size, shown side by side from the
            same images.
        output: the file to write, ending in .html; one that exists is replaced.
        note: a sentence below the title, plain text.

    Returns:
        `output`.

    Raises:
        ConfigError: another number of runs, another ending, no such folder, or runs of different
            images.
        ModelError: the model is imported, so only its own network can decode.
        CoreError: a run is damaged or has no weights.
    """
    output = Path(output)
    check_output(output, (".html",))
    content = page_html(runs, note=note)
    write_atomically(output, content)
    return output


def page_html(runs: Sequence[Run], *, note: str = "") -> str:
    """The text of the page of `export_page`; arguments and errors as there."""
    if len(runs) not in (1, 2):
        raise ConfigError(f"{len(runs)} runs were given: a page shows one run, or two side by side")
    first = runs[0].record
    for run in runs[1:]:
        record = run.record
        if (record.dataset, record.image_shape) != (first.dataset, first.image_shape):
            raise ConfigError(
                f"{runs[0].id} shows {_images_of(first)}, but {run.id} shows {_images_of(record)}: "
                f"two runs on a page need the same images"
            )
    starts, missing = None, ""
    dataset: Dataset | None = None
    try:
        dataset = load_dataset(first.dataset, first.image_size)
        starts = _starts(dataset)
    except DataError as error:
        missing = f"The page shows samples of the prior alone: {error}."
    sides = list(_SIDES) if len(runs) == 2 else [""]
    content = {
        "note": note,
        "missing": missing,
        "dataset": first.dataset,
        "starts": [] if starts is None else _thumbnails(starts),
        "runs": [_run(run, dataset, starts, side) for run, side in zip(runs, sides, strict=True)],
        "settings": _settings([run.record for run in runs]),
        "scores": _scores([read_evaluation(run) for run in runs]),
    }
    # "</script>" would end the element; "<!--" would begin a comment.
    data = json.dumps(content, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    script = board_script() + "\n" + (FOLDER / "page.js").read_text(encoding="utf-8")
    style = board_style() + (FOLDER / "page.css").read_text(encoding="utf-8")
    title = " and ".join(run.id for run in runs)
    template = (FOLDER / "page.html").read_text(encoding="utf-8")
    # In the order of their marks, each searched for behind the text before it.
    parts, rest = [], template
    for mark, text in {
        "@POLICY@": _policy(script, style),
        "@TITLE@": html.escape(title),
        "@STYLE@": style,
        "@DATA@": data,
        "@SCRIPT@": script,
    }.items():
        before, _, rest = rest.partition(mark)
        parts += [before, text]
    parts.append(rest)
    return "".join(parts)


def _policy(script: str, style: str) -> str:
    def digest(text: str) -> str:
        return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"

    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {digest(script)} 'wasm-unsafe-eval'",
            f"style-src {digest(style)}",
            "worker-src blob:",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def _images_of(record: RunConfig) -> str:
    return f"{record.dataset} at {record.image_size}"


def _starts(dataset: Dataset) -> _Starts:
    """The data set's typical image, where it has factors, and random ones."""
    generator = torch.Generator(dataset.device).manual_seed(0)
    count = min(IMAGES, dataset.num_images)
    drawn = np.random.default_rng(0).choice(dataset.num_images, count, replace=False)
    numbers = torch.from_numpy(np.sort(drawn)).to(dataset.device)
    factors, images = dataset.points_at(numbers, generator)
    if dataset.factor_sizes:
        typical = torch.tensor([dataset.typical_factors()], device=dataset.device)
        images = torch.cat([dataset.images(typical, generator), images])[:count]
        factors = torch.cat([typical, factors])[:count]
        labels = [
            ", ".join(f"{n} {v}" for n, v in zip(dataset.factor_names, row, strict=True))
            for row in factors.tolist()
        ]
    else:
        labels = [f"image {number}" for number in numbers.tolist()]
    return _Starts(images, labels)


def _thumbnails(starts: _Starts) -> list[dict[str, str]]:
    return [
        {"label": label, "image": _address(pixels)}
        for label, pixels in zip(starts.labels, to_pixels(starts.images), strict=True)
    ]


def _address(pixels: np.ndarray) -> str:
    buffer = io.BytesIO()
    image = Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels)
    image.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


@torch.inference_mode()
def _run(run: Run, dataset: Dataset | None, starts: _Starts | None, side: str) -> dict[str, Any]:
    """What the page knows of one run."""
    model = run.load_model()
    decoder = BoardDecoder.of(pack_decoder(model))
    profile = run_profile(run, model, dataset)
    values = all_values(profile, profile.by_kl())
    prior = model.latents.sample_prior(PRIOR_SAMPLES, torch.Generator().manual_seed(0))
    rows = board_rows(
        profile,
        model.latents,
        values,
        start_code=prior[0],
        code=prior[0],
        names=latent_names(run),
    )
    images: list[dict[str, Any]] = []
    if starts is not None and model.encoder is not None:
        posterior = model.encode(starts.images)
        nats = posterior.kl()  # (B, N)
        if model.latents.is_deterministic:  # the same for all images, so the board shows another
            nats = torch.from_numpy(profile.held).expand_as(nats)
        images = _encoded(posterior, values, nats)
    record = run.record
    size = f"N = {record.num_latents}"
    if record.category_counts:
        size += f", {describe_category_counts(record.category_counts)}"
    return {
        "name": run.id,
        "words": f"{record.latents} latents, {size} · {record.origin}",
        "board": board_data(rows, decoder, label=f"latents of {run.id}", side=side),
        "images": images,
        "prior": [_numbers(code) for code in prior.tolist()],
        "information": {
            "factors": list(profile.factor_names),
            "points": profile.num_points,
            "shares": [_numbers(row) for row in profile.information.tolist()],
        },
    }


def _encoded(
    posterior: Posterior, values: Mapping[int, Tensor], nats: Tensor
) -> list[dict[str, Any]]:
    """Of each image: its code (N,), and of each row of the board the posterior and the nats."""
    codes = posterior.mean_code()
    points = [values[latent] for latent in sorted(values)]
    densities = posterior.density(points)  # N times (B, P_j)
    return [
        {
            "code": _numbers(codes[image].tolist()),
            "kl": [round(nats[image, latent].item(), 4) for latent in values],
            "posteriors": [
                posterior_heights(densities[latent][image].tolist()) for latent in values
            ],
        }
        for image in range(len(codes))
    ]


def _numbers(values: Sequence[float]) -> list[float]:
    return [float(f"{value:.{_DIGITS}g}") for value in values]


def _settings(records: Sequence[RunConfig]) -> list[list[str]]:
    """Names of the settings, each with its value in every run; settings that no run has are left
    out."""
    values = [record.model_dump(mode="json") for record in records]
    rows = []
    for name in RunConfig.model_fields:
        cells = ["" if each.get(name) is None else _shown(each[name]) for each in values]
        if any(cells):
            rows.append([name.replace("_", " "), *cells])
    return rows


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value).replace("_", " ")


def _scores(evaluations: Sequence[Evaluation]) -> list[dict[str, Any]]:
    """Every score that some run has, by protocol."""
    protocols: tuple[ProtocolName, ...] = ("paper", "native")
    rows = []
    for protocol in protocols:
        for name, meaning in MEANINGS.items():
            found = [evaluation.score(name, protocol) for evaluation in evaluations]
            if not any(score is not None and score.value is not None for score in found):
                continue
            rows.append(
                {
                    "label": meaning.label_with_arrow,
                    "meaning": meaning.meaning,
                    "protocol": protocol,
                    "values": [None if s is None or s.value is None else s.value for s in found],
                    "measured": [("" if s is None else s.reason or s.measured_on) for s in found],
                }
            )
    return rows
