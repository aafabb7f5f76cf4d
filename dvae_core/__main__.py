"""The command line: `python -m dvae_core COMMAND`.

What goes wrong is one line on stderr and an exit status: 2 for what was asked (a wrong argument,
an unreadable file), 1 for a training that diverged, 130 for an interruption.
"""

import contextlib
import io
import json as json_module
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from dvae_core.config import RunConfig
from dvae_core.errors import ConfigError, CoreError, TrainingError
from dvae_core.evaluation.results import (
    EvaluationSettings,
    Metric,
    ProtocolName,
    metrics_named,
)
from dvae_core.interruptions import INTERRUPTED, interruptions
from dvae_core.onnx.description import DecoderOutput, ImageRange, OnnxLayout
from dvae_core.run_commands import RUN_COMMANDS, train_in_background
from dvae_core.sweep.command import sweep

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dvae_core.data.base import Dataset
    from dvae_core.evaluation import Evaluation
    from dvae_core.run import Run

DEFAULT_EVALUATION = EvaluationSettings()


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        command = _parse(arguments)
        return command()
    except TrainingError as error:
        return _complain(error, 1)
    except CoreError as error:
        return _complain(error, 2)
    except OSError as error:
        return _complain(f"{error.filename or 'a file'}: {error.strerror or error}", 2)
    except KeyboardInterrupt:
        return _complain("interrupted", INTERRUPTED)


def _parse(arguments: list[str]) -> Callable[[], int]:
    default = RunConfig.from_preset(_preset_of(arguments))

    def datasets(json: bool = False) -> Callable[[], int]:
        """List the data sets with their factors.

        Args:
            json: print one JSON object as the last line.
        """
        return lambda: list_datasets(json)

    def train(
        run_dir: Path,
        config: RunConfig = default,
        preset: str | None = None,
        known_cardinalities: bool = False,
        tensorboard: bool = False,
        background: bool = False,
        json: bool = False,
    ) -> Callable[[], int]:
        """Train a new run.

        Args:
            run_dir: folder to make; its name is the run's.
            preset: settings to begin with, quick or paper; flags come on top.
            known_cardinalities: take the cardinalities from the factors of the data set.
            tensorboard: write events for TensorBoard into the run's folder, too.
            background: put it in the queue, as the app does, instead of training here.
            json: print one JSON object as the last line.
        """
        return lambda: start_training(
            config, run_dir, known_cardinalities, tensorboard, background, json
        )

    def resume(
        run: tyro.conf.Positional[Path],
        steps: int | None = None,
        tensorboard: bool = False,
        background: bool = False,
        json: bool = False,
    ) -> Callable[[], int]:
        """Continue a training from its last saved state.

        Args:
            run: the run's folder.
            steps: train to so many in all, more than planned; the noise scale stays at its end.
            tensorboard: write events for TensorBoard into the run's folder, too.
            background: put it in the queue, as the app does, instead of training here.
            json: print one JSON object as the last line.
        """
        return lambda: resume_training(run, steps, tensorboard, background, json)

    def estimate(
        config: RunConfig = default, preset: str | None = None, json: bool = False
    ) -> Callable[[], int]:
        """Time some steps of a training and tell how long all of it takes here; writes nothing.

        Args:
            preset: settings to begin with, quick or paper; flags come on top.
            json: print one JSON object as the last line.
        """
        return lambda: estimate_training(config, json)

    def tensorboard(run: tyro.conf.Positional[Path], json: bool = False) -> Callable[[], int]:
        """Write the course of a training as events for TensorBoard into the run's folder.

        Args:
            run: the run's folder.
            json: print one JSON object as the last line.
        """
        return lambda: write_events(run, json)

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
        return lambda: evaluate_run(run, protocol, metrics, settings, workers, json)

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
        return lambda: write_strip(run, latent, output, count, seed, json)

    def sheet(
        name: tyro.conf.Positional[str],
        output: Path,
        count: int = 8,
        seed: int = 0,
        json: bool = False,
    ) -> Callable[[], int]:
        """Write sample images of a data set as a PNG: a row a factor, which alone varies.

        Args:
            name: of the data set.
            output: the PNG to write.
            count: images in a row at most.
            seed: chooses the image that is varied.
            json: print one JSON object as the last line.
        """
        return lambda: write_sheet(name, output, count, seed, json)

    def download(name: tyro.conf.Positional[str], json: bool = False) -> Callable[[], int]:
        """Fetch the published files of a data set; an interrupted download is continued.

        Args:
            name: of the data set, as `datasets` lists it.
            json: print one JSON object as the last line.
        """
        return lambda: download_dataset(name, json)

    def import_(
        source: tyro.conf.Positional[Path],
        name: str,
        image_size: Literal[32, 64] = 64,
        plan: bool = False,
        json: bool = False,
    ) -> Callable[[], int]:
        """Take your own images in under a name, which every command then knows.

        Args:
            source: folder of pictures, or .npz or .h5 with images and, if known, factors.
            name: of lower case letters, digits, - and _.
            image_size: pixels that images are scaled to.
            plan: say what would be made, and make nothing.
            json: print one JSON object as the last line.
        """
        return lambda: import_dataset(source, name, image_size, plan, json)

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
        return lambda: select_runs(folder, protocol, gap, group_by, output, seed, json)

    def import_model(
        name: str,
        decoder: Path,
        latents: Literal["categorical", "gaussian"],
        dataset: str,
        encoder: Path | None = None,
        encoder_input: ImageRange = "image",
        decoder_output: DecoderOutput = "image",
        interleaved: bool = False,
        num_categories: int | None = None,
        category_values: Path | None = None,
        json: bool = False,
    ) -> Callable[[], int]:
        """Make a run of a model that was trained elsewhere, from ONNX files (docs/models.md).

        Args:
            name: of the new run, among your own.
            decoder: ONNX file, codes (batch, N) to images (batch, C, H, W).
            latents: family of the latents.
            dataset: what it was trained on.
            encoder: ONNX file, images to means and log variances, or to logits of categories;
                without it the model is slid from its prior only.
            encoder_input: range of the images it takes: image is 0 to 1, signed -1 to 1.
            decoder_output: what it gives: image is 0 to 1, signed -1 to 1 (tanh), or logits.
            interleaved: its one output holds mean, log variance, mean, log variance, ….
            num_categories: K, where the encoder does not say it.
            category_values: JSON file with the scalar of each category, where it is not an even
                grid from -1 to 1.
            json: print one JSON object as the last line.
        """
        layout = OnnxLayout(
            interleaved=interleaved, encoder_input=encoder_input, decoder_output=decoder_output
        )
        options = {
            "latents": latents,
            "dataset": dataset,
            "layout": layout,
            "num_categories": num_categories,
        }
        return lambda: import_onnx(name, decoder, encoder, category_values, options, json)

    def export_model(
        run: tyro.conf.Positional[Path], output: Path, json: bool = False
    ) -> Callable[[], int]:
        """Write the model of a run as ONNX files, to serve elsewhere.

        Args:
            run: the run's folder.
            output: folder to make.
            json: print one JSON object as the last line.
        """
        return lambda: export_onnx(run, output, json)

    commands: dict[str, Callable[..., Any]] = {
        "datasets": datasets,
        "train": train,
        "resume": resume,
        "estimate": estimate,
        "tensorboard": tensorboard,
        "evaluate": evaluate,
        "sweep": sweep,
        "traverse": traverse,
        "sheet": sheet,
        "download": download,
        "import": import_,
        "import-model": import_model,
        "export-model": export_model,
        "select": select,
        **RUN_COMMANDS,
    }
    output, complaint = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(complaint):
            return tyro.extras.subcommand_cli_from_dict(
                commands,
                prog="python -m dvae_core",
                description="Variational autoencoders with ordered categorical latents.",
                args=arguments,
                config=(tyro.conf.OmitArgPrefixes,),
            )
    except SystemExit as stop:
        if not stop.code:  # --help
            print(output.getvalue(), end="")
            raise
        raise ConfigError(_in_one_line(complaint.getvalue())) from None


def list_datasets(json: bool) -> int:
    """Print every data set with its factors, and whether its file is there."""
    from dataclasses import asdict

    from dvae_core.data import dataset_states

    states = dataset_states()
    for info in states:
        factors = zip(info.factor_names, info.factor_sizes, strict=True)
        sizes = ", ".join(f"{name} {size}" for name, size in factors) or "no factors"
        print(f"{info.name:18} {info.state:13} {info.num_images:>9,} images   {sizes}")
        if info.state != "ready":
            print(f"{'':18} {info.detail}")
    _print_json({info.name: asdict(info) for info in states}, json)
    return 0


def write_sheet(name: str, output: Path, count: int, seed: int, json: bool) -> int:
    """Write the sheet of a data set as a PNG."""
    import torch

    from dvae_core.data import load_dataset
    from dvae_core.data.variation import factor_variation
    from dvae_core.sheets import traversal_sheet
    from dvae_core.traversal import to_pixels

    _check_picture(output, count)
    dataset = load_dataset(name)
    if not dataset.factor_sizes:
        raise ConfigError(f"{name} has no factors, so there is no row to draw")
    factors = dataset.sample_factors(1, torch.Generator().manual_seed(seed))[0]
    frames = [
        to_pixels(factor_variation(dataset, factors, factor, count)[0])
        for factor in range(len(dataset.factor_sizes))
    ]
    _write_picture(output, traversal_sheet(frames, dataset.factor_names))
    print(f"{output}: {name} around the factors {factors.tolist()}")
    _print_json({"output": str(output), "factors": factors.tolist()}, json)
    return 0


def download_dataset(name: str, json: bool) -> int:
    """Fetch the files of a data set, with a progress bar."""
    from dvae_core.data.download import download

    with _progress_bar("download", unit="B", unit_scale=True) as progress:
        paths = [str(path) for path in download(name, progress)]
    print(f"{name} is here: {', '.join(paths)}")
    _print_json({"dataset": name, "files": paths}, json)
    return 0


def import_dataset(source: Path, name: str, image_size: int, only_plan: bool, json: bool) -> int:
    """Import images under a name, or say what that would make."""
    from dvae_core.data.imported import import_images, plan_import

    with _progress_bar("looking", unit="image") as progress:
        plan = plan_import(source, image_size, progress)
    factors = dict(zip(plan.factor_names, plan.factor_sizes, strict=True))
    print(f"{source}: {plan.kind}, {plan.num_images:,} images")
    for factor, size in factors.items():
        print(f"  factor {factor}: {size} values")
    for note in plan.notes:
        print(f"  {note}")
    if not only_plan:
        with _progress_bar("importing", unit="image") as progress:
            path = import_images(source, name, image_size, progress)
        print(f"imported as {name}, in {path}")
    _print_json({"dataset": name, "images": plan.num_images, "factors": factors}, json)
    return 0


def import_onnx(
    name: str,
    decoder: Path,
    encoder: Path | None,
    category_values: Path | None,
    options: dict[str, Any],
    json: bool,
) -> int:
    """Import a model under a name, and say what should be known of it."""
    from dvae_core.exchange import import_model
    from dvae_core.exchange.category_values import read_category_values
    from dvae_core.run import own_folder

    values = read_category_values(category_values) if category_values is not None else ()
    imported = import_model(own_folder(name), decoder, encoder, category_values=values, **options)
    record = imported.run.record
    for note in imported.notes:
        print(f"note: {note}")
    shape = "x".join(map(str, record.image_shape))
    print(
        f"{imported.run.path}: {record.num_latents} {record.latents} latents, images of {shape}, "
        f"{record.origin}"
    )
    _print_json({"run": str(imported.run.path), "notes": imported.notes}, json)
    return 0


def export_onnx(run_dir: Path, output: Path, json: bool) -> int:
    """Write the model of a run as ONNX files."""
    from dvae_core.exchange import export_model
    from dvae_core.run import Run

    folder = export_model(Run(run_dir), output)
    files = sorted(path.name for path in folder.iterdir())
    print(f"{folder}: {', '.join(files)}")
    _print_json({"output": str(folder), "files": files}, json)
    return 0


def start_training(
    config: RunConfig,
    run_dir: Path,
    takes_cardinalities: bool,
    writes_events: bool,
    in_background: bool,
    json: bool,
) -> int:
    """Make a run folder and train it."""
    from dvae_core.data import load_dataset
    from dvae_core.data.cardinalities import known_cardinalities
    from dvae_core.run import Run
    from dvae_core.tensorboard import check_tensorboard
    from dvae_core.training.trainer import choose_device

    # Refuse before anything is written.
    _check_background(in_background, writes_events)
    choose_device(config.device, config.compiled)
    if writes_events:
        check_tensorboard()
    dataset = load_dataset(config.dataset, config.image_size)
    if takes_cardinalities:
        if config.cardinalities:
            raise ConfigError("give --cardinalities or --known-cardinalities, not both")
        known = {"cardinalities": known_cardinalities(dataset)}
        config = RunConfig(**(config.model_dump() | known))
    run = Run.create(run_dir, config, dataset.image_shape)
    return train_in_background(run, json) if in_background else _train(run, writes_events, json)


def resume_training(
    run_dir: Path, steps: int | None, writes_events: bool, in_background: bool, json: bool
) -> int:
    """Continue a run, unless it is finished or another process is at it; with `steps`, to there."""
    from dvae_core.errors import RunError
    from dvae_core.run import Run, State
    from dvae_core.tensorboard import check_tensorboard
    from dvae_core.training.extension import extend_run

    run = Run(run_dir)
    _check_background(in_background, writes_events)
    if writes_events:
        check_tensorboard()
    run.check_trainable()
    if steps is not None and steps < run.record.steps:
        raise ConfigError(
            f"--steps is {steps:,}, but the run is planned for {run.record.steps:,} steps: it can "
            f"only get more"
        )
    if steps is not None and steps > run.record.steps:
        extend_run(run, steps - run.record.steps)
    if problem := run.problem():
        raise RunError(problem)
    if in_background:
        return train_in_background(run, json)
    run.check_not_trained_elsewhere()
    if run.state() is State.FINISHED:
        raise RunError(
            f"{run_dir} is finished at step {run.status().step:,}: there is nothing to resume"
        )
    return _train(run, writes_events, json)


def estimate_training(config: RunConfig, json: bool) -> int:
    """Print how long a training takes on this machine."""
    from dataclasses import asdict

    from dvae_core.memory import keep_freed_memory
    from dvae_core.training.estimate import estimate_seconds

    keep_freed_memory()
    estimate = estimate_seconds(config)
    print(f"{config.steps:,} steps: {estimate.in_words()}")
    _print_json({**asdict(estimate), "words": estimate.in_words()}, json)
    return 0


def write_events(run_dir: Path, json: bool) -> int:
    """Write what a run keeps of its training as events for TensorBoard."""
    from dvae_core.errors import RunError
    from dvae_core.run import Run
    from dvae_core.tensorboard import EventWriter

    run = Run(run_dir)
    if problem := run.problem():
        raise RunError(problem)
    with EventWriter(run) as events:
        events.update()
    print(f"{events.folder}: read it with: tensorboard --logdir {events.folder}")
    _print_json({"run": str(run.path), "folder": str(events.folder)}, json)
    return 0


def evaluate_run(
    run_dir: Path,
    protocol: ProtocolName,
    metrics: str,
    settings: EvaluationSettings,
    workers: int | None,
    json: bool,
) -> int:
    """Measure a run metric by metric, keeping each in evaluation.json as soon as it is done."""
    from dvae_core.data import load_dataset
    from dvae_core.jobs import working_as_job
    from dvae_core.run import Run

    run = Run(run_dir)
    wanted = metrics_named(metrics)
    if workers is not None and workers < 1:
        raise ConfigError(f"--workers is {workers}, but at least 1 process has to work")
    dataset = load_dataset(run.record.dataset, run.record.image_size)
    with (
        run.reserved_for("evaluation"),
        interruptions() as interrupted,
        working_as_job(run, "evaluate", lambda: bool(interrupted)) as report,
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
    _print_json({"run": str(run.path), "protocol": protocol, "scores": shown}, json)
    return INTERRUPTED if interrupted else 0


def write_strip(run_dir: Path, latent: int, output: Path, count: int, seed: int, json: bool) -> int:
    """Write the traversal of one latent as a PNG."""
    import torch

    from dvae_core.data import load_dataset
    from dvae_core.run import Run
    from dvae_core.traversal import check_latent, film_strip, traverse_latent

    _check_picture(output, count)
    run = Run(run_dir)
    model = run.load_model()
    check_latent(model, latent)
    dataset = load_dataset(run.record.dataset, run.record.image_size)
    image = dataset.sample_images(1, torch.Generator().manual_seed(seed))
    with torch.inference_mode():
        code = model.encode(image).mean_code()[0]
    values = model.latents.traversal_values(latent, count)
    pixels = film_strip(traverse_latent(model, code, latent, values))
    _write_picture(output, pixels)
    print(
        f"{output}: latent {latent} at {len(values)} values "
        f"from {values[0]:.2f} to {values[-1]:.2f}"
    )
    _print_json({"output": str(output), "latent": latent, "values": values.tolist()}, json)
    return 0


def select_runs(
    folder: Path,
    protocol: ProtocolName,
    gap: Literal["whole", "reconstruction"],
    group_by: str,
    output: Path | None,
    seed: int,
    json: bool,
) -> int:
    """Print what the gap tells of the runs of a folder, and write the tables where asked."""
    from dvae_core.files import write_atomically
    from dvae_core.selection.report import settings_named, study_sheets
    from dvae_core.selection.study import GAP, RECONSTRUCTION_GAP, read_study

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
    _print_json({**asked, **found}, json)
    return 0


def _check_background(in_background: bool, writes_events: bool) -> None:
    if in_background and writes_events:
        raise ConfigError(
            "--background and --tensorboard do not go together: the command tensorboard writes "
            "the events of a run at any time"
        )


def _train(run: "Run", writes_events: bool, json: bool) -> int:
    from tqdm import tqdm

    from dvae_core.jobs import TRAINING, working_as_job
    from dvae_core.memory import keep_freed_memory
    from dvae_core.run import State
    from dvae_core.tensorboard import EventWriter
    from dvae_core.training.trainer import Progress, train

    keep_freed_memory()
    with (
        _queue_goes_on_after(run),
        interruptions() as interrupted,
        working_as_job(run, TRAINING, lambda: run.status().state is State.STOPPED),
        tqdm(total=run.record.steps, unit="step", disable=None, desc=run.id) as bar,
        EventWriter(run) if writes_events else contextlib.nullcontext() as events,
    ):

        def show(progress: Progress) -> None:
            bar.update(progress.step - bar.n)
            if progress.metrics:
                bar.set_postfix(loss=f"{progress.metrics['loss']:.1f}", refresh=False)
            if events and progress.metrics.get("step") == progress.step:
                events.update()

        status = train(run, show, lambda: bool(interrupted))
    rows = run.metrics.read()
    if status.state is State.STOPPED:
        print(
            f"{run.path} stopped at step {status.step:,} of {status.steps:,}; "
            f"continue with: python -m dvae_core resume {run.path}"
        )
    else:
        print(f"{run.path} finished: {status.steps:,} steps in {status.seconds:,.0f} s")
    _print_json(
        {
            "run": str(run.path),
            **status.model_dump(mode="json"),
            "metrics": rows[-1] if rows else {},
        },
        json,
    )
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

    from dvae_core.evaluation import EvaluationProgress, evaluate, read_evaluation

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


@contextlib.contextmanager
def _queue_goes_on_after(run: "Run") -> Iterator[None]:
    """Start the next training that waits, however this one ends."""
    from dvae_core.jobs import advance_queue, queue_of

    try:
        yield
    finally:
        with contextlib.suppress(CoreError, OSError):  # nothing of this training
            advance_queue(queue_of(run))


@contextlib.contextmanager
def _progress_bar(label: str, **options: Any) -> Iterator[Callable[[int, int], None]]:
    from tqdm import tqdm

    with tqdm(desc=label, disable=None, **options) as bar:

        def show(done: int, total: int) -> None:
            if total != bar.total:  # another file
                bar.reset(total)
            bar.update(done - bar.n)

        yield show


def _check_picture(output: Path, count: int) -> None:
    if output.suffix.lower() != ".png":
        raise ConfigError(f"--output is {output}, but pictures are written as .png")
    if not 2 <= count <= 512:
        raise ConfigError(f"--count is {count}, but a row has 2 to 512 images")


def _write_picture(output: Path, pixels: "NDArray[np.uint8]") -> None:
    from PIL import Image

    from dvae_core.files import write_atomically

    buffer = io.BytesIO()
    Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels).save(buffer, "PNG")
    write_atomically(output, buffer.getvalue())


def _preset_of(arguments: list[str]) -> str | None:
    for i, argument in enumerate(arguments):
        if argument == "--preset":
            return arguments[i + 1] if i + 1 < len(arguments) else None
        if argument.startswith("--preset="):
            return argument.removeprefix("--preset=")
    return None


def _in_one_line(box: str) -> str:
    # tyro frames its complaints: a title, a rule, what is wrong, a rule, suggestions.
    lines = [line.strip("╭╮╰╯│─- ") for line in box.splitlines()]
    body = "\n".join(lines).strip("\n").partition("\n\n")[2].lstrip("\n")
    said = " ".join(body.partition("\n\n")[0].split())
    return f"{said.rstrip('.') or 'the arguments are wrong'}; see --help"


def _complain(what: object, status: int) -> int:
    print(f"error: {what}", file=sys.stderr)
    return status


def _print_json(content: Any, wanted: bool) -> None:
    if wanted:
        print(json_module.dumps(content))


if __name__ == "__main__":
    sys.exit(main())
