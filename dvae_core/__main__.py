"""The command line: `python -m dvae_core COMMAND`.

What goes wrong is one line on stderr and an exit status: 2 for what was asked (a wrong argument,
an unreadable file), 1 for a training that diverged, 130 for an interruption.
"""

import contextlib
import io
import json as json_module
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from dvae_core.config import RunConfig
from dvae_core.errors import ConfigError, CoreError, TrainingError
from dvae_core.evaluation.results import (
    FAST_METRICS,
    METRICS,
    PAPER_METRICS,
    EvaluationSettings,
    Metric,
    ProtocolName,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dvae_core.data.base import Dataset
    from dvae_core.evaluation import Evaluation
    from dvae_core.run import Run

INTERRUPTED = 130
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
        json: bool = False,
    ) -> Callable[[], int]:
        """Train a new run.

        Args:
            run_dir: folder to make; its name is the run's.
            preset: settings to begin with, quick or paper; flags come on top.
            json: print one JSON object as the last line.
        """
        return lambda: start_training(config, run_dir, json)

    def resume(run: tyro.conf.Positional[Path], json: bool = False) -> Callable[[], int]:
        """Continue a training from its last saved state.

        Args:
            run: the run's folder.
            json: print one JSON object as the last line.
        """
        return lambda: resume_training(run, json)

    def evaluate(
        run: tyro.conf.Positional[Path],
        protocol: Literal["paper", "native"] = "paper",
        metrics: str = "all",
        settings: EvaluationSettings = DEFAULT_EVALUATION,
        json: bool = False,
    ) -> Callable[[], int]:
        """Measure a run; what was measured before in the same way is not measured again.

        Args:
            run: the run's folder.
            protocol: paper bins every code; native takes categories as they are.
            metrics: names joined by commas, or one of the sets all, fast, paper.
            json: print one JSON object as the last line.
        """
        return lambda: evaluate_run(run, protocol, metrics, settings, json)

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

    commands: dict[str, Callable[..., Any]] = {
        "datasets": datasets,
        "train": train,
        "resume": resume,
        "evaluate": evaluate,
        "traverse": traverse,
        "sheet": sheet,
        "download": download,
        "import": import_,
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
        print(f"{info.name:16} {info.state:13} {info.num_images:>9,} images   {sizes}")
        if info.state != "ready":
            print(f"{'':16} {info.detail}")
    _print_json({info.name: asdict(info) for info in states}, json)
    return 0


def write_sheet(name: str, output: Path, count: int, seed: int, json: bool) -> int:
    """Write the sheet of a data set as a PNG."""
    import numpy as np
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
    channels, height, width = dataset.image_shape
    shape = (len(dataset.factor_sizes), count, height, width, channels)
    frames = np.full(
        shape, 255, np.uint8
    )  # a factor of few values leaves the rest of its row white
    for factor in range(len(dataset.factor_sizes)):
        images, values = factor_variation(dataset, factors, factor, count)
        frames[factor, : len(values)] = to_pixels(images)
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


def start_training(config: RunConfig, run_dir: Path, json: bool) -> int:
    """Make a run folder and train it."""
    from dvae_core.data import load_dataset
    from dvae_core.run import Run
    from dvae_core.training.trainer import choose_device

    choose_device(config.device, config.compiled)  # refuse before anything is written
    dataset = load_dataset(config.dataset, config.image_size)
    return _train(Run.create(run_dir, config, dataset.image_shape), json)


def resume_training(run_dir: Path, json: bool) -> int:
    """Continue a run, unless it is finished or another process is at it."""
    from dvae_core.errors import RunError
    from dvae_core.run import Run, State

    run = Run(run_dir)
    if problem := run.problem():
        raise RunError(problem)
    state, status = run.state(), run.status()
    if state is State.RUNNING:
        raise RunError(f"{run_dir} is being trained by process {status.pid}: stop that one first")
    if state is State.FINISHED:
        raise RunError(f"{run_dir} is finished at step {status.step:,}: there is nothing to resume")
    return _train(run, json)


def evaluate_run(
    run_dir: Path, protocol: ProtocolName, metrics: str, settings: EvaluationSettings, json: bool
) -> int:
    """Measure a run metric by metric, keeping each in evaluation.json as soon as it is done."""
    from dvae_core.data import load_dataset
    from dvae_core.run import Run

    run = Run(run_dir)
    wanted = _metrics_named(metrics)
    dataset = load_dataset(run.record.dataset, run.record.image_size)
    with (
        run.reserved_for("evaluation"),
        _interruptions() as interrupted,
        _job_progress(run, interrupted) as report,
    ):
        evaluation = _evaluate(run, dataset, protocol, wanted, settings, report, interrupted)
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


def _train(run: "Run", json: bool) -> int:
    from tqdm import tqdm

    from dvae_core.memory import keep_freed_memory
    from dvae_core.run import State
    from dvae_core.training.trainer import Progress, train

    keep_freed_memory()
    with (
        _interruptions() as interrupted,
        tqdm(total=run.record.steps, unit="step", disable=None, desc=run.id) as bar,
    ):

        def show(progress: Progress) -> None:
            bar.update(progress.step - bar.n)
            if progress.metrics:
                bar.set_postfix(loss=f"{progress.metrics['loss']:.1f}", refresh=False)

        status = train(run, show, lambda: bool(interrupted))
    rows, _ = run.read_metrics()
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
        )


@contextlib.contextmanager
def _job_progress(run: "Run", interrupted: list[int]) -> Iterator[Callable[[str, float], None]]:
    """Tell the run how far this command is, at most twice a second, and how it ended."""
    from dvae_core.jobs import report_progress

    last = float("-inf")

    def report(stage: str, fraction: float) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= 0.5:
            last = now
            report_progress(run, "running", stage, fraction)

    try:
        report("starting", 0.0)
        yield report
    except BaseException as error:
        report_progress(run, "failed", message=str(error) or type(error).__name__)
        raise
    report_progress(run, "stopped" if interrupted else "finished", fraction=1.0)


@contextlib.contextmanager
def _interruptions() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM, so that a training ends between two steps. A second one of them
    ends it at once."""
    received: list[int] = []

    def receive(number: int, frame: Any) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)

    before = {number: signal.signal(number, receive) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _metrics_named(names: str) -> tuple[Metric, ...]:
    sets = {"all": METRICS, "fast": FAST_METRICS, "paper": PAPER_METRICS}
    if names in sets:
        return sets[names]
    wanted = [name.strip() for name in names.split(",")]
    for name in wanted:
        if name not in METRICS:
            raise ConfigError(
                f"no metric is called {name[:40]!r}: there are {', '.join(METRICS)}, "
                f"and the sets {', '.join(sets)}"
            )
    return tuple(metric for metric in METRICS if metric in wanted)


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
