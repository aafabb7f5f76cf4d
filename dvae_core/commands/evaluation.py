"""Commands that look at a run: evaluate, traverse, select."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from dvae_core.commands.output import check_picture, print_json, write_picture
from dvae_core.errors import ConfigError
from dvae_core.evaluation.results import EvaluationSettings, Metric, ProtocolName, metrics_named
from dvae_core.system.processes import INTERRUPTED, interruptions

if TYPE_CHECKING:
    from dvae_core.data.dataset import Dataset
    from dvae_core.evaluation.results import Evaluation
    from dvae_core.runs.run import Run

DEFAULT_EVALUATION = EvaluationSettings()


def evaluate(
    run: tyro.conf.Positional[Path],
    protocol: Literal["paper", "native"] = "paper",
    metrics: str = "all",
    settings: EvaluationSettings = DEFAULT_EVALUATION,
    workers: int | None = None,
    json: bool = False,
) -> Callable[[], int]:
    """Measure a run; what was measured before in the same way is not measured again.

    Args:
        run: the run's folder.
        protocol: paper bins every code; native takes categories as they are.
        metrics: names joined by commas, or one of the sets all, fast, paper.
        workers: processes of the exact DCI, as many as there are cores by default.
        json: print one JSON object as the last line.
    """
    return lambda: _evaluate_run(run, protocol, metrics, settings, workers, json)


def traverse(
    run: tyro.conf.Positional[Path],
    latent: int,
    output: Path,
    count: int = 16,
    seed: int = 0,
    json: bool = False,
) -> Callable[[], int]:
    """Write the film strip of one latent as a PNG.

    Args:
        run: the run's folder.
        latent: which latent to slide, counted from 0.
        output: the PNG to write.
        count: images in the strip.
        seed: chooses the image of the data set that the strip starts from.
        json: print one JSON object as the last line.
    """
    return lambda: _write_strip(run, latent, output, count, seed, json)


def select(
    folder: tyro.conf.Positional[Path],
    protocol: Literal["paper", "native"] = "paper",
    gap: Literal["whole", "reconstruction"] = "whole",
    group_by: str = "dataset,latents,objective",
    output: Path | None = None,
    seed: int = 0,
    json: bool = False,
) -> Callable[[], int]:
    """Tell how well the straight-through gap selects among the runs of a folder.

    Args:
        folder: that holds the runs.
        protocol: whose scores are meant.
        gap: of the whole loss, or of the reconstruction alone.
        group_by: settings whose values are kept apart, joined by commas.
        output: folder for the tables as CSV and LaTeX.
        seed: of the bootstrap.
        json: print one JSON object as the last line.
    """
    return lambda: _select_runs(folder, protocol, gap, group_by, output, seed, json)


MEASURING_COMMANDS: dict[str, Callable[..., Callable[[], int]]] = {
    "evaluate": evaluate,
    "traverse": traverse,
    "select": select,
}


def _evaluate_run(
    run_dir: Path,
    protocol: ProtocolName,
    metrics: str,
    settings: EvaluationSettings,
    workers: int | None,
    json: bool,
) -> int:
    """Measure a run metric by metric, keeping each in evaluation.json as soon as it is done."""
    from dvae_core.data import load_dataset
    from dvae_core.jobs import job_progress
    from dvae_core.runs.run import Run

    run = Run(run_dir)
    wanted = metrics_named(metrics)
    if workers is not None and workers < 1:
        raise ConfigError(f"--workers is {workers}, but at least 1 process has to work")
    dataset = load_dataset(run.record.dataset, run.record.image_size)
    with (
        run.reserved_for("evaluation"),
        interruptions() as interrupted,
        job_progress(run, "evaluate", lambda: bool(interrupted)) as report,
    ):
        evaluation = _evaluate(
            run, dataset, protocol, wanted, settings, workers, report, interrupted
        )
    scores = [
        score
        for score in evaluation.scores
        if score.protocol == protocol and score.metric in wanted
    ]
    for score in scores:
        value = score.reason if score.value is None else f"{score.value:.4f}"
        print(f"{score.name:36} {value}   ({protocol}: {score.estimator})")
    shown = {score.name: score.model_dump(mode="json") for score in scores}
    print_json({"run": str(run.path), "protocol": protocol, "scores": shown}, json)
    return INTERRUPTED if interrupted else 0


def _evaluate(
    run: "Run",
    dataset: "Dataset",
    protocol: ProtocolName,
    metrics: tuple[Metric, ...],
    settings: EvaluationSettings,
    workers: int | None,
    report: Callable[[str, float], None],
    interrupted: list[int],
) -> "Evaluation":
    from tqdm import tqdm

    from dvae_core.evaluation.protocol import EvaluationProgress, evaluate
    from dvae_core.evaluation.results import read_evaluation

    with tqdm(total=len(metrics), unit="metric", disable=None, desc=run.id) as bar:

        def show(progress: EvaluationProgress) -> None:
            done = progress.index + progress.fraction
            report(progress.metric, done / progress.count)
            bar.set_postfix_str(progress.metric, refresh=False)
            bar.update(round(done, 2) - bar.n)

        return evaluate(
            run,
            dataset,
            protocol,
            metrics,
            settings,
            existing=read_evaluation(run),
            on_result=lambda result: run.write_evaluation(result.model_dump(mode="json")),
            on_progress=show,
            should_stop=lambda: bool(interrupted),
            num_workers=workers,
        )


def _write_strip(
    run_dir: Path, latent: int, output: Path, count: int, seed: int, json: bool
) -> int:
    """Write the traversal of one latent as a PNG."""
    import torch

    from dvae_core.analysis.traversal import check_latent, film_strip, traverse_latent
    from dvae_core.data import load_dataset
    from dvae_core.runs.run import Run

    check_picture(output, count)
    run = Run(run_dir)
    model = run.load_model()
    check_latent(model, latent)
    dataset = load_dataset(run.record.dataset, run.record.image_size)
    image = dataset.sample_images(1, torch.Generator().manual_seed(seed))
    with torch.inference_mode():
        code = model.encode(image).mean_code()[0]
    values = model.latents.traversal_values(latent, count)
    pixels = film_strip(traverse_latent(model, code, latent, values))
    write_picture(output, pixels)
    print(
        f"{output}: latent {latent} at {len(values)} values "
        f"from {values[0]:.2f} to {values[-1]:.2f}"
    )
    print_json({"output": str(output), "latent": latent, "values": values.tolist()}, json)
    return 0


def _select_runs(
    folder: Path,
    protocol: ProtocolName,
    gap: Literal["whole", "reconstruction"],
    group_by: str,
    output: Path | None,
    seed: int,
    json: bool,
) -> int:
    """Print what the gap tells of the runs of a folder, and write the tables where asked."""
    from dvae_core.selection.report import settings_named, study_sheets
    from dvae_core.selection.study import GAP, RECONSTRUCTION_GAP, read_study
    from dvae_core.system.files import write_atomically

    if seed < 0:
        raise ConfigError(f"--seed is {seed}, but seeds are 0 or more")
    by = settings_named(group_by)
    study = read_study(folder, protocol)
    sheets = study_sheets(study, by, GAP if gap == "whole" else RECONSTRUCTION_GAP, seed=seed)
    for run_id, reason in study.left_out.items():
        print(f"not in the statistics: {run_id}: {reason}")
    for sheet in sheets[1:]:  # the table of all runs is too wide for a terminal
        print(f"\n{sheet.caption}\n{sheet.to_text()}")
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        for sheet in sheets:
            write_atomically(output / f"{sheet.name}.csv", sheet.to_csv())
            write_atomically(output / f"{sheet.name}.tex", sheet.to_latex())
        print(f"\n{output}: {', '.join(sheet.name for sheet in sheets)} as .csv and .tex")
    found = {sheet.name: sheet.to_records() for sheet in sheets}
    asked = {"folder": str(folder), "protocol": protocol, "gap": gap, "group_by": by, "seed": seed}
    print_json({**asked, **found}, json)
    return 0
