"""The commands that evaluate trained runs: evaluate, select."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tqdm import tqdm
from tyro.conf import Positional

from dvae_core.commands.command import MAX_SEED, Command, RunFolder, check_range
from dvae_core.commands.output import say
from dvae_core.config import OneLineErrors
from dvae_core.data import load_dataset
from dvae_core.errors import CoreError
from dvae_core.evaluation.results import (
    Evaluation,
    EvaluationSettings,
    Metric,
    ProtocolName,
    read_evaluation,
)
from dvae_core.system.files import write_atomically
from dvae_core.system.processes import INTERRUPTED, interruptions

if TYPE_CHECKING:
    from dvae_core.evaluation.protocol import EvaluationProgress
    from dvae_core.runs.run import Run


class _Settings(OneLineErrors, EvaluationSettings):
    pass


@dataclass(frozen=True)
class Evaluate(Command):
    """Evaluate a run; scores that were computed before with the same settings, or from more points,
    are kept.

    Attributes:
        evaluation: Number of samples, and the random seed.
        protocol: paper scores mean codes, in 20 bins; native the most likely categories
        metrics: names of metrics, separated by commas, or one of the sets all, fast and paper
        workers: processes that compute exact DCI; default: one per core
        replace: also measure anew what has scores from more points, which are then lost
        then: further runs to evaluate in the same way, one after another as background jobs
    """

    run_dir: RunFolder
    evaluation: _Settings
    protocol: ProtocolName = "paper"
    metrics: str = "all"
    workers: int | None = None
    replace: bool = False
    then: tuple[Path, ...] = ()

    def run(self) -> int:
        try:
            status = self._evaluate()
        except Exception:
            self._start_next()  # a run that cannot be evaluated does not hold up the others
            raise
        if status != INTERRUPTED:
            self._start_next()
        return status

    def _evaluate(self) -> int:
        from dvae_core.evaluation.catalog import (
            SETS,
            describe_long,
            metrics_named,
            split_by_time,
        )
        from dvae_core.evaluation.protocol import evaluate
        from dvae_core.jobs import job_progress
        from dvae_core.runs.run import Run

        run = Run(self.run_dir)
        wanted = metrics_named(self.metrics)
        check_range("--workers", self.workers, 1)
        dataset = load_dataset(run.record.dataset, run.record.image_size)
        if self.metrics in SETS:
            wanted, long = split_by_time(wanted, dataset.factor_sizes)
            for name in long:
                say(describe_long(name, dataset.factor_sizes))
        with (
            interruptions() as interrupted,
            job_progress(run, "evaluate", lambda: bool(interrupted)) as report,
            run.reserved_for("evaluation"),
            tqdm(total=len(wanted), unit="metric", disable=None, desc=run.id) as bar,
        ):
            existing = read_evaluation(run)
            to_measure = wanted if self.replace else self._without_better(run, existing, wanted)
            bar.reset(len(to_measure))

            def show(progress: "EvaluationProgress") -> None:
                done = progress.index + progress.fraction
                report(progress.metric, done / progress.count)
                bar.set_postfix_str(progress.metric, refresh=False)
                bar.update(round(done, 2) - bar.n)

            evaluation = evaluate(
                run,
                dataset,
                self.protocol,
                to_measure,
                self.evaluation,
                existing=existing,
                on_result=lambda result: run.write_evaluation(result.model_dump(mode="json")),
                on_progress=show,
                should_stop=lambda: bool(interrupted),
                num_workers=self.workers,
            )
        scores = [
            score
            for score in evaluation.scores
            if score.protocol == self.protocol and score.metric in wanted
        ]
        for score in scores:
            value = score.reason if score.value is None else f"{score.value:.4f}"
            say(f"{score.name:36} {value}   ({self.protocol}: {score.estimator})")
        shown = {score.name: score.model_dump(mode="json") for score in scores}
        self.print_json({"run": str(run.path), "protocol": self.protocol, "scores": shown})
        return INTERRUPTED if interrupted else 0

    def _without_better(
        self, run: "Run", existing: Evaluation, wanted: tuple[Metric, ...]
    ) -> tuple[Metric, ...]:
        """The metrics that have no score from more points."""
        from dvae_core.evaluation.protocol import measured_better

        better = measured_better(run, existing, wanted, self.protocol, self.evaluation)
        for metric, points in better.items():
            say(f"kept {metric} from {points:,} points: --replace measures it anew")
        return tuple(metric for metric in wanted if metric not in better)

    def _start_next(self) -> None:
        from dvae_core.jobs import start_job
        from dvae_core.runs.run import Run

        given = {"protocol": self.protocol, "metrics": self.metrics, **self.evaluation.model_dump()}
        if self.workers is not None:
            given["workers"] = self.workers
        flags = ["--replace"] if self.replace else []
        arguments = [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]
        for place, following in enumerate(self.then, 1):
            others = [str(other) for other in self.then[place:]]
            more = ["--then", *others] if others else []
            try:
                start_job(Run(following), "evaluate", [*arguments, *flags, *more])
            except (CoreError, OSError) as error:
                say(f"skipped {following}: {error}")
                continue
            say(f"started the evaluation of {following}")
            return


@dataclass(frozen=True)
class Select(Command):
    """Report how well the straight-through gap predicts the scores of the runs in a folder.

    Attributes:
        folder: folder that holds the runs
        protocol: evaluation protocol of the scores
        gap: gap of the whole loss, or of the reconstruction loss alone
        group_by: settings to group the runs by, separated by commas; default: data set, family,
            objective, and of samples, noise and penalties those that vary
        output: folder to write the tables to, as CSV and LaTeX
        seed: random seed of the bootstrap
    """

    folder: Positional[Path]
    protocol: ProtocolName = "paper"
    gap: Literal["whole", "reconstruction"] = "whole"
    group_by: str | None = None
    output: Path | None = None
    seed: int = 0

    def run(self) -> int:
        from dvae_core.selection.report import settings_named, study_sheets
        from dvae_core.selection.study import GAP, RECONSTRUCTION_GAP, read_study

        check_range("--seed", self.seed, 0, MAX_SEED)
        wanted = None if self.group_by is None else settings_named(self.group_by)
        study = read_study(self.folder, self.protocol)
        by = study.default_groups if wanted is None else wanted
        gap = GAP if self.gap == "whole" else RECONSTRUCTION_GAP
        sheets = study_sheets(study, by, gap, seed=self.seed)
        for run_id, reason in study.left_out.items():
            say(f"left out of the statistics: {run_id}: {reason}")
        for sheet in sheets[1:]:  # the table of all runs is too wide for a terminal
            for line in ("", sheet.caption, *sheet.to_text().splitlines()):
                say(line)
        if self.output is not None:
            self.output.mkdir(parents=True, exist_ok=True)
            for sheet in sheets:
                write_atomically(self.output / f"{sheet.name}.csv", sheet.to_csv())
                write_atomically(self.output / f"{sheet.name}.tex", sheet.to_latex())
            say("")
            say(f"{self.output}: {', '.join(sheet.name for sheet in sheets)} as .csv and .tex")
        self.print_json(
            {
                "folder": str(self.folder),
                "protocol": self.protocol,
                "gap": self.gap,
                "group_by": list(by),
                "seed": self.seed,
                **{sheet.name: sheet.to_records() for sheet in sheets},
            }
        )
        return 0
