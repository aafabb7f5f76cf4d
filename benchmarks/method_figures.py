"""The figures and the numbers of docs/method.md.

    python -m benchmarks.method_figures --output docs/images
    python -m benchmarks.method_figures --output docs/images --study runs/circles

Uses the shipped runs, and the worst, median and best run of each family in a study
(sweeps/circles.toml).
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.tables import head, row
from dvae_core.analysis.axis_angles import factor_grid, factor_plane
from dvae_core.analysis.rotation import joint_mass, rotation_costs, uniform_grid
from dvae_core.data import load_dataset
from dvae_core.evaluation.inputs import EvaluationInputs
from dvae_core.evaluation.metrics.mig import mig
from dvae_core.evaluation.results import EvaluationSettings
from dvae_core.figures.latent_plane import PlanePicture, draw_plane, side_by_side
from dvae_core.runs.catalog import SHIPPED_ROOT, list_runs
from dvae_core.runs.run import Run
from dvae_core.selection.seeds import read_seed_scores

SHIPPED = ("gaussian", "categorical")
SHOWN_DEGREES = (0, 15, 30, 45)
NUM_CATEGORIES = 16
LATENTS = (0, 1)  # the shipped runs on circles have two
PAID_IMAGES, ALL_IMAGES = 64, 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True, help="folder of the figures")
    parser.add_argument("--study", type=Path, help="folder of runs of both families")
    asked = parser.parse_args()
    asked.output.mkdir(parents=True, exist_ok=True)
    shipped = [(family, Run(SHIPPED_ROOT / f"circles-{family}")) for family in SHIPPED]
    write_planes(asked.output / "method-planes.svg", shipped, columns=2)
    write_turned_grids(asked.output / "method-turned-grids.png")
    print_costs(shipped)
    if asked.study is not None:
        runs = list_runs(asked.study)
        families = {
            family: [run for run in runs if run.record.latents == family] for family in SHIPPED
        }
        scores = read_seed_scores(families, "paper")
        ranked = [
            (f"{rank} {family}", run)
            for family in scores.runs
            for rank, run in scores.worst_median_best(family, "mig")
        ]
        write_planes(asked.output / "method-seeds.svg", ranked, columns=3)


def write_planes(path: Path, runs: list[tuple[str, Run]], columns: int) -> None:
    """Draw the grid of the first two factors in the latent plane of each run."""
    pictures, titles = [], []
    for name, run in runs:
        picture, score = drawn(run)
        pictures.append(picture)
        titles.append(f"{name}, MIG {score:.3f}")
    path.write_text(side_by_side(pictures, titles, columns), encoding="utf-8")


def drawn(run: Run) -> tuple[PlanePicture, float]:
    """The picture of a run, and its MIG; prints MIG, angles and R2."""
    model, record = run.load_model(), run.record
    dataset = load_dataset(record.dataset, record.image_size)
    points = EvaluationInputs(run, dataset, "paper", EvaluationSettings(), num_workers=None).train
    middle = [size // 2 for size in dataset.factor_sizes]
    plane = factor_plane(model, points, factor_grid(dataset, middle, (0, 1)))
    score = mig(points.codes, points.factors)
    degrees = np.degrees(plane.fitted.angles)
    print(
        f"{run.path.name}: MIG {score:.3f}, angles {degrees[0]:.1f} and {degrees[1]:.1f} degrees, "
        f"R2 {plane.fitted.r_squared:.3f}"
    )
    picture = draw_plane(
        plane.codes,
        plane.latents,
        (dataset.factor_names[0], dataset.factor_names[1]),
        bounded=record.latents == "categorical",
        arrows=plane.fitted.matrix,
        centre=plane.fitted.centre,
    )
    return picture, score


def write_turned_grids(path: Path) -> None:
    """Draw a uniform grid rotated by each of `SHOWN_DEGREES`; darker cells hold more mass."""
    tiles = []
    for degrees in SHOWN_DEGREES:
        mass = uniform_grid(NUM_CATEGORIES).turned(np.radians(degrees)).mass
        upright = mass.T[::-1]  # the first latent to the right, the second up
        grey = 235 - 195 * np.clip(upright * NUM_CATEGORIES**2 / 3, 0, 1)
        large = grey.repeat(12, axis=0).repeat(12, axis=1)
        tiles.append(np.pad(large, 8, constant_values=255))
    Image.fromarray(np.concatenate(tiles, axis=1).round().astype(np.uint8)).save(path)


def print_costs(runs: list[tuple[str, Run]]) -> None:
    """Print what a rotation of both latents of each run costs at each angle."""
    angles = np.radians(SHOWN_DEGREES)
    rows: list[list[str]] = [[f"{degrees}°"] for degrees in SHOWN_DEGREES]
    heads = ["angle"]
    for family, run in runs:
        model, record = run.load_model(), run.record
        dataset = load_dataset(record.dataset, record.image_size)
        generator = torch.Generator().manual_seed(0)
        images = dataset.sample_images(PAID_IMAGES, generator)
        costs = rotation_costs(model, images, LATENTS, angles)
        with torch.inference_mode():
            all_codes = model.encode(dataset.sample_images(ALL_IMAGES, generator))
        aggregate = joint_mass(all_codes, LATENTS)
        is_grid = bool(record.category_counts)
        heads += [f"{family}: KL of an image", "reconstruction"]
        if is_grid:
            heads += ["dependence", "clipped", "shrunk to fit: KL of an image", "reconstruction"]
        for place, angle in enumerate(angles):
            turned = aggregate.turned(angle)
            rows[place] += [f"{costs.kl[place]:.2f}", f"{costs.reconstruction[place]:.1f}"]
            if is_grid:
                rows[place] += [
                    f"{turned.dependence():.2f}",
                    f"{turned.clipped:.1%}",
                    f"{costs.fitted_kl[place]:.2f}",
                    f"{costs.fitted_reconstruction[place]:.1f}",
                ]
    print(head(*heads))
    for cells in rows:
        print(row(*cells))


if __name__ == "__main__":
    main()
