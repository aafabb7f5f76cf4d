"""Pack the runs of a sweep into studies/ as records, and write the tables of docs/studies.md.

    python -m dvae_core sweep sweeps/circles_thesis.toml
    python -m benchmarks.studies pack runs/circles_thesis
    python -m benchmarks.studies report

A record is a run without weights: its config, scores and thinned curves. `report` reads the records
only, so everyone can repeat it without training.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.shipped import copy_thinned
from benchmarks.tables import REPOSITORY, markdown, replace_table
from dvae_core.errors import RunError
from dvae_core.evaluation.catalog import MEANINGS
from dvae_core.runs.catalog import STUDIES_ROOT, list_runs
from dvae_core.runs.run import Run, State
from dvae_core.selection.study import Study, StudyRun, read_study
from dvae_core.system.files import new_folder

DOCUMENT = REPOSITORY / "docs" / "studies.md"
FAMILIES = ("gaussian", "categorical")
CURVE_ROWS = 40
RESAMPLES = 10_000
SCORES = ("mig", "modularity", "infom", "infoc", "infoe", "kl", "sampled_kl", "reconstruction")
DIGITS = {"kl": 2, "sampled_kl": 2, "reconstruction": 2}  # of the others 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("pack", help="copy the records of folders of runs to studies/")
    packing.add_argument("folders", type=Path, nargs="+")
    commands.add_parser("report", help="write the tables of docs/studies.md")
    asked = parser.parse_args()
    if asked.command == "report":
        report()
        return
    for folder in asked.folders:
        for run in list_runs(folder):
            pack(run, STUDIES_ROOT / folder.name / run.id)
        print(f"packed {folder}")


def pack(run: Run, target: Path) -> None:
    """Copy the record of a run to a new folder; a failure leaves no folder.

    Raises:
        RunError: the run is not finished or not evaluated, or the target exists.
    """
    if run.state() is not State.FINISHED:
        raise RunError(f"{run.path} is {run.state()}: only a finished run is a record")
    if not run.read_evaluation():
        raise RunError(f"{run.path} has no scores: evaluate it")
    with new_folder(target) as draft:
        copy_thinned(run, draft, ("config.json", "evaluation.json"), CURVE_ROWS)
        record = run.status().model_copy(update={"weights_kept": False, "process": None})
        Run(draft).write_status(record)


def report() -> None:
    """Write a table for each study."""
    steps = read_study(STUDIES_ROOT / "circles_steps", "paper")
    replace_table(DOCUMENT, "circles_steps", markdown(steps_table(steps)))
    thesis = read_study(STUDIES_ROOT / "circles_thesis", "paper")
    replace_table(DOCUMENT, "circles_thesis", markdown(thesis_table(thesis)))


def steps_table(study: Study) -> list[list[str]]:
    """Mean loss of each family and step size, over the pilot seeds."""
    rows = [["step size", *(f"{family}: loss of each seed, mean" for family in FAMILIES)]]
    sizes = sorted({float(run.settings["learning_rate"] or 0) for run in study.counted})
    for size in sizes:
        cells = []
        for family in FAMILIES:
            losses = [
                loss(run)
                for run in study.counted
                if (run.settings["latents"], run.settings["learning_rate"]) == (family, size)
            ]
            single = ", ".join(f"{value:.2f}" for value in losses)
            cells.append(f"{single}: {np.mean(losses):.2f}")
        rows.append([f"{size:g}", *cells])
    return rows


def loss(run: StudyRun) -> float:
    """The plain ELBO loss, nats: reconstruction of the mean code plus KL."""
    found = [run.score(name, "paper") for name in ("reconstruction", "kl")]
    return sum(value for value in found if value is not None)


def thesis_table(study: Study) -> list[list[str]]:
    """Medians of both families with intervals, and how likely a categorical run scores higher."""
    groups = {
        family: [run for run in study.counted if run.settings["latents"] == family]
        for family in FAMILIES
    }
    rows = [["score", *(f"{f}: median (95 %)" for f in FAMILIES), "P(categorical higher)", "p"]]
    for name in SCORES:
        values = {
            family: [value for run in runs if (value := run.score(name, "paper")) is not None]
            for family, runs in groups.items()
        }
        rows.append(_row(name, values))
    return rows


def _row(name: str, values: Mapping[str, Sequence[float]]) -> list[str]:
    from scipy.stats import mannwhitneyu

    digits = DIGITS.get(name, 3)
    cells = []
    for family in FAMILIES:
        low, median, high = interval(values[family])
        cells.append(f"{median:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})")
    test = mannwhitneyu(values["categorical"], values["gaussian"])
    higher = test.statistic / (len(values["categorical"]) * len(values["gaussian"]))
    return [MEANINGS[name].label, *cells, f"{higher:.2f}", f"{test.pvalue:.4f}"]


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Lower end, median and upper end: 95 % of the medians of resampled runs lie between."""
    array = np.asarray(values)
    drawn = np.random.default_rng(0).choice(array, (RESAMPLES, len(array)))
    low, high = np.quantile(np.median(drawn, axis=1), (0.025, 0.975))
    return float(low), float(np.median(array)), float(high)


if __name__ == "__main__":
    main()
