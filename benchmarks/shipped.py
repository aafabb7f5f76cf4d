"""Pack finished runs into checkpoints/, and write docs/results.md from them.

    python -m benchmarks.shipped pack runs/rooms-categorical
    python -m benchmarks.shipped report

`pack` copies a finished run that was evaluated under both protocols, without the trainer's state,
the discriminator, the snapshots and most rows of the curves. `report` writes the tables of
docs/results.md and a picture of each run in docs/images.
"""

import argparse
import shutil
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from plotly.colors import sample_colorscale
from torch import Tensor

from benchmarks.tables import REPOSITORY, markdown, replace_table
from dvae_core.analysis.latent_profile import LatentProfile, latent_profile
from dvae_core.analysis.traversal import film_strip, traverse_latent
from dvae_core.data import load_dataset
from dvae_core.data.dataset import Dataset
from dvae_core.errors import RunError
from dvae_core.evaluation.catalog import MEANINGS
from dvae_core.evaluation.results import Evaluation, ProtocolName, read_evaluation
from dvae_core.figures.style import COLOR_SCALE
from dvae_core.models.vae import VAE
from dvae_core.runs.catalog import SHIPPED_ROOT, list_runs
from dvae_core.runs.row_log import RowLog
from dvae_core.runs.run import Run, State
from dvae_core.system.files import new_folder

RESULTS = REPOSITORY / "docs" / "results.md"
PICTURES = REPOSITORY / "docs" / "images"
PROTOCOLS: tuple[ProtocolName, ...] = get_args(ProtocolName)
CURVE_ROWS = 200
SHIPPED_FILES = ("config.json", "evaluation.json", "model.safetensors")
SCORES = (
    "mig",
    "modularity",
    "sap",
    "dci_fast_disentanglement",
    "infom",
    "infoe",
    "infoc",
    "straight_through_gap",
    "straight_through_gap_reconstruction",
)
ORDER = ("circles", "rooms", "sprites", "digits")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("pack", help="copy finished, evaluated runs to checkpoints/")
    packing.add_argument("runs", type=Path, nargs="+")
    commands.add_parser("report", help="write the tables and the pictures of docs/results.md")
    asked = parser.parse_args()
    if asked.command == "report":
        report()
        return
    for path in asked.runs:
        pack(Run(path), SHIPPED_ROOT / Run(path).id)
        print(f"packed {path}")


def pack(run: Run, target: Path) -> None:
    """Copy the shipped part of a run to a new folder; a failure leaves no folder.

    Raises:
        RunError: the run is not finished or lacks scores, or the target exists.
    """
    if run.state() is not State.FINISHED:
        raise RunError(f"{run.path} is {run.state()}: only a finished run is shipped")
    evaluation = read_evaluation(run)
    for protocol in PROTOCOLS:
        for name in SCORES:
            if evaluation.score(name, protocol) is None:
                raise RunError(f"{run.path} lacks {name} of the {protocol} protocol: evaluate it")
    with new_folder(target) as draft:
        copy_thinned(run, draft, SHIPPED_FILES, CURVE_ROWS)
        Run(draft).write_status(run.status())


def copy_thinned(run: Run, target: Path, names: Iterable[str], max_rows: int) -> None:
    """Copy files of a run, and at most so many rows of each of its two logs."""
    for name in names:
        shutil.copy(run.path / name, target / name)
    for log in (run.metrics, run.scores):
        thinned = RowLog(target / log.path.name)
        rows = log.read()
        for place in np.linspace(0, len(rows) - 1, min(max_rows, len(rows))).round().astype(int):
            thinned.append(rows[place])


def report() -> None:
    """Write all tables and pictures."""
    runs = sorted(list_runs(SHIPPED_ROOT), key=_place)
    for dataset, group in groupby(runs, key=lambda run: run.record.dataset):
        members = list(group)
        replace_table(RESULTS, dataset, markdown(_table(members)))
        for run in members:
            picture(run).save(PICTURES / f"results-{run.id}.png")
            print(f"{run.id}: drawn", flush=True)


def _place(run: Run) -> tuple[int, str, bool, bool]:
    record = run.record
    return (
        ORDER.index(record.dataset),
        record.objective,
        record.latents == "categorical",
        bool(record.cardinalities),
    )


def _table(runs: list[Run]) -> list[list[str]]:
    """Settings and scores, with a column for each run."""
    evaluations = [read_evaluation(run) for run in runs]
    rows = [["", *(_name(run) for run in runs)]]
    rows += [[label, *(setting(run) for run in runs)] for label, setting in _SETTINGS.items()]
    rows += [
        [MEANINGS[name].label, *(_value(found, name, "paper", 1) for found in evaluations)]
        for name in ("reconstruction", "kl", "sampled_kl")
    ]
    for name in SCORES:
        digits = 1 if "gap" in name else 3
        rows.append([MEANINGS[name].label, *(_both(found, name, digits) for found in evaluations)])
    return rows


def _name(run: Run) -> str:
    name = f"{run.record.latents} {run.record.objective}"
    return f"{name}, known cardinalities" if run.record.cardinalities else name


def _latents(run: Run) -> str:
    counts = run.record.category_counts
    categories = f" of {', '.join(map(str, dict.fromkeys(counts)))} categories" if counts else ""
    return f"{run.record.num_latents}{categories}"


def _noise(run: Run) -> str:
    record = run.record
    if record.latents != "categorical":
        return "—"
    ends = dict.fromkeys((record.noise_scale_start, record.noise_scale_end))
    return f"{record.sampling.replace('_', '-')}, {' to '.join(f'{end:g}' for end in ends)}"


_SETTINGS = {
    "image size": lambda run: f"{run.record.image_size}",
    "latents": _latents,
    "samples, noise scale": _noise,
    "gamma": lambda run: f"{run.record.gamma:g}" if run.record.objective == "factor" else "—",
    "Adam step size": lambda run: f"{run.record.learning_rate:g}",
    "seed": lambda run: f"{run.record.seed}",
    "steps": lambda run: f"{run.status().steps:,}",
    "hours": lambda run: f"{run.status().seconds / 3600:.2f}",
}


def _value(evaluation: Evaluation, name: str, protocol: str, digits: int) -> str:
    score = evaluation.score(name, protocol)  # type: ignore[arg-type]
    return "—" if score is None or score.value is None else f"{score.value:.{digits}f}"


def _both(evaluation: Evaluation, name: str, digits: int) -> str:
    """The value under both protocols, paper first; only one where they are equal."""
    values = [_value(evaluation, name, protocol, digits) for protocol in PROTOCOLS]
    return " / ".join(dict.fromkeys(values))


COLUMNS = 9
FRAME = 64
LABEL, CELL, HEAD, GAP = 150, 62, 34, 6


def picture(run: Run) -> Image.Image:
    """A row per active latent: its KL, its traversal, and its information about each factor."""
    record, model = run.record, run.load_model()
    dataset = load_dataset(record.dataset, record.image_size)
    profile = latent_profile(model, dataset)
    latents = [latent for latent in profile.by_kl() if profile.active[latent]]
    code = _typical_code(model, dataset)
    strip_width = COLUMNS * (FRAME + 1) - 1
    width = LABEL + strip_width + GAP + CELL * len(profile.factor_names) + GAP
    drawn = Image.new("RGB", (width, HEAD + len(latents) * (FRAME + GAP)), "white")
    pen = ImageDraw.Draw(drawn)
    large, small = ImageFont.load_default(16), ImageFont.load_default(12)
    for place, name in enumerate(profile.factor_names):
        middle = LABEL + strip_width + GAP + CELL * place + CELL // 2
        pen.text((middle, HEAD // 2), name.replace(" ", "\n"), "black", small, anchor="mm")
    for row, latent in enumerate(latents):
        top = HEAD + row * (FRAME + GAP)
        pen.text((8, top + 14), f"latent {latent}", "black", large)
        pen.text((8, top + 34), f"KL {profile.kl[latent]:.2f} nats", "dimgrey", small)
        drawn.paste(_strip(model, code, latent, profile), (LABEL, top))
        for place, share in enumerate(profile.information[latent]):
            left = LABEL + strip_width + GAP + CELL * place
            _draw_cell(pen, left, top, float(share), small)
    return drawn


def _typical_code(model: VAE, dataset: Dataset) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    factors = torch.tensor([dataset.typical_factors()])
    return model.encode(dataset.images(factors, generator)).mean_code()[0]


def _strip(model: VAE, code: Tensor, latent: int, profile: LatentProfile) -> Image.Image:
    values = profile.values[latent]
    spread = np.linspace(0, len(values) - 1, min(COLUMNS, len(values))).round().astype(int)
    strip = film_strip(
        traverse_latent(model, code, latent, torch.from_numpy(values[spread])), gap=0
    )
    image = Image.fromarray(strip[..., 0] if strip.shape[-1] == 1 else strip)
    return image.convert("RGB").resize((FRAME * len(spread), FRAME), Image.Resampling.NEAREST)


def _draw_cell(
    pen: ImageDraw.ImageDraw,
    left: int,
    top: int,
    share: float,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    # As in the heat maps of the app.
    (shares,) = sample_colorscale(COLOR_SCALE, [min(max(share, 0.0), 1.0)], colortype="tuple")
    colour = tuple(round(255 * part) for part in shares)
    pen.rectangle((left, top, left + CELL - 3, top + FRAME - 1), colour)
    dark = sum(colour) < 380
    middle = (left + CELL // 2 - 1, top + FRAME // 2)
    pen.text(middle, f"{share:.2f}", "white" if dark else "black", font, anchor="mm")


if __name__ == "__main__":
    main()
