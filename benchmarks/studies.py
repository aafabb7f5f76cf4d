"""Pack the runs of a sweep into studies/ as records, and write the tables of docs/studies.md.

    python -m dvae_core sweep sweeps/circles_thesis.toml
    python -m benchmarks.studies pack runs/circles_thesis
    python -m benchmarks.studies report

A record is a run without weights: its config, scores and thinned curves. `report` reads the records
only, so everyone can repeat it without training.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.shipped import copy_thinned
from benchmarks.strips import Panel, Strip, strips_svg
from benchmarks.tables import REPOSITORY, markdown, replace_table
from dvae_core.config import FAMILIES as FAMILY_INFOS
from dvae_core.config import FamilyInfo
from dvae_core.data import load_dataset
from dvae_core.errors import RunError
from dvae_core.evaluation.catalog import MEANINGS
from dvae_core.evaluation.latent_statistics import ACTIVE_NATS, image_information
from dvae_core.evaluation.metrics.infomec import exclusiveness
from dvae_core.evaluation.reference_codes import reference_scores_of
from dvae_core.evaluation.results import ProtocolName, read_evaluation
from dvae_core.figures.style import PALETTE
from dvae_core.runs.catalog import STUDIES_ROOT, list_runs
from dvae_core.runs.run import Run, State
from dvae_core.selection.correlation import RankCorrelation, rank_correlation
from dvae_core.selection.criteria import CriterionResult, compare_criteria
from dvae_core.selection.study import (
    GAP,
    RECONSTRUCTION_GAP,
    Setting,
    Study,
    StudyRun,
    read_study,
    read_study_run,
    sort_key,
)
from dvae_core.system.files import new_folder

DOCUMENT = REPOSITORY / "docs" / "studies.md"
IMAGES = REPOSITORY / "docs" / "images"
FAMILIES = ("gaussian", "categorical")
CURVE_ROWS = 40
RESAMPLES = 10_000
SCORES = (
    "mig",
    "modularity",
    "sap",
    "dci_fast_disentanglement",
    "dci_fast_completeness",
    "dci_fast_informativeness",
    "infom",
    "infoc",
    "infoe",
    "kl",
    "sampled_kl",
    "reconstruction",
)
DRAWN = ("mig", "dci_fast_disentanglement", "reconstruction", "kl")
DRAWN_OF_SETTINGS = ("mig", "reconstruction")
SETTING_SCORES = ("mig", "modularity", "infom", "kl", "sampled_kl", "reconstruction", GAP)
METHOD_SCORES = ("infom", "infoc", "infoe", "mig", "dci_fast_disentanglement", "reconstruction")
DRAWN_OF_METHODS = ("infom", "infoe", "mig", "reconstruction")
DIGITS = {"kl": 2, "sampled_kl": 2, "reconstruction": 2, GAP: 2}  # of the others 3


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
        records = STUDIES_ROOT / folder.name
        new = [run for run in list_runs(folder) if not (records / run.id).exists()]
        packed = sum(_is_packed(run, records / run.id) for run in new)
        print(f"{folder}: packed {packed} new records")


def _is_packed(run: Run, target: Path) -> bool:
    """Pack a run, or print why it is left out."""
    try:
        pack(run, target)
    except RunError as error:
        print(f"left out: {error}")
        return False
    return True


def pack(run: Run, target: Path) -> None:
    """Copy the record of a run to a new folder; a failure leaves no folder.

    Raises:
        RunError: the run is not finished, lacks scores of its weights, or the target exists.
    """
    if target.exists():
        raise RunError(f"{target} exists: remove it to pack the run again")
    if run.state() is not State.FINISHED:
        raise RunError(f"{run.path} is {run.state()}: only a finished run is a record")
    if reason := read_study_run(run).left_out("paper"):
        raise RunError(f"{run.path} is no record: {reason}")
    with new_folder(target) as draft:
        copy_thinned(run, draft, ("config.json", "evaluation.json"), CURVE_ROWS)
        record = run.status().model_copy(update={"weights_kept": False, "process": None})
        Run(draft).write_status(record)


def report() -> None:
    """Write a table for each study, their figures, and the table of criteria."""
    studies = {name: read_study(STUDIES_ROOT / name, "paper") for name in TABLES}
    for name, table in TABLES.items():
        replace_table(DOCUMENT, name, markdown(table(studies[name])))
    for name, figure in FIGURES.items():
        (IMAGES / f"{name}.svg").write_text(figure(studies[name]), encoding="utf-8")
    for name, base in PENALIZED.items():
        comparison = penalties_table(studies[name], studies[base])
        replace_table(DOCUMENT, f"{name}_compared", markdown(comparison))
    of_methods = {name: studies[name] for name in (*PENALIZED.values(), *PENALIZED)}
    replace_table(DOCUMENT, "holding", markdown(holding_table(of_methods)))
    judged = {name: studies[name] for name in (*THESES, *VARIED)}
    replace_table(DOCUMENT, "criteria", markdown(criteria_table(judged)))


def steps_table(study: Study) -> list[list[str]]:
    """Mean loss of each family and step size, over the pilot seeds."""
    columns = by_family(study)
    rows = [["step size", *(f"{family}: loss of each seed, mean" for family in columns)]]
    return rows + _rows_of_sizes(columns, loss)


def methods_steps_table(study: Study) -> list[list[str]]:
    """The loss of each step size and method, without the KL where that is a constant. FSQ with and
    without a delay are two methods here."""
    columns: dict[str, list[StudyRun]] = {}
    for run in study.counted:
        delay = run.settings["encoder_delay"]
        name = _family(run).label + ("" if delay is None else f", delay {delay}")
        columns.setdefault(name, []).append(run)
    return [["step size", *columns], *_rows_of_sizes(columns, _loss_that_varies)]


def _loss_that_varies(run: StudyRun) -> float:
    return _needed(run, "reconstruction") if _family(run).is_deterministic else loss(run)


def _rows_of_sizes(
    columns: Mapping[str, Sequence[StudyRun]], loss_of: Callable[[StudyRun], float]
) -> list[list[str]]:
    """A row for each step size, with the losses of the runs of each column."""

    def size(run: StudyRun) -> float:
        return float(run.settings["learning_rate"] or 0)

    sizes = sorted({size(run) for runs in columns.values() for run in runs})
    cells = [
        [_with_mean([loss_of(run) for run in runs if size(run) == at]) for runs in columns.values()]
        for at in sizes
    ]
    return [[f"{at:g}", *row] for at, row in zip(sizes, cells, strict=True)]


def quick_table(study: Study) -> list[list[str]]:
    """Loss and MIG of each seed, for each kind of samples and step size."""
    rows = [["samples", "step size", "loss of each seed, mean", "MIG of each seed"]]
    cells: dict[tuple[str, float], list[StudyRun]] = {}
    for run in study.counted:
        size = float(run.settings["learning_rate"] or 0)
        cells.setdefault((str(run.settings["sampling"]), size), []).append(run)
    for (sampling, size), runs in sorted(cells.items()):
        losses = [loss(run) for run in runs]
        scores = ", ".join(f"{value:.3f}" for value in values_of(runs, "mig"))
        name = sampling.replace("_", "-")
        rows.append([name, f"{size:g}", _with_mean(losses), scores])
    return rows


def _with_mean(losses: Sequence[float]) -> str:
    """Each loss and their mean; the loss of a single run; — without any."""
    if len(losses) < 2:
        return "".join(f"{value:.2f}" for value in losses) or "—"
    single = ", ".join(f"{value:.2f}" for value in losses)
    return f"{single}: {np.mean(losses):.2f}"


def loss(run: StudyRun) -> float:
    """Reconstruction of the mean code plus KL, nats; a training has that of a sample instead.

    Raises:
        RunError: a part of it was not measured.
    """
    return _needed(run, "reconstruction") + _needed(run, "kl")


def _needed(run: StudyRun, name: str) -> float:
    value = run.score(name, "paper")
    if value is None:
        raise RunError(f"{run.path} lacks {name}: evaluate it")
    return value


def thesis_table(study: Study) -> list[list[str]]:
    """Medians of both families with intervals, and how likely a categorical run scores higher."""
    groups = by_family(study)
    rows = [["score", *(f"{f}: median (95 %)" for f in FAMILIES), "P(categorical higher)", "p"]]
    for name in SCORES:
        gaussian, categorical = (values_of(groups[family], name) for family in FAMILIES)
        if not gaussian or not categorical:
            continue
        higher, p = compared(categorical, gaussian)
        rows.append(
            [
                MEANINGS[name].label,
                in_words(gaussian, name),
                in_words(categorical, name),
                f"{higher:.2f}",
                p_in_words(p),
            ]
        )
    return rows


def by_family(study: Study) -> dict[str, list[StudyRun]]:
    """The runs of each family."""
    return {
        family: [run for run in study.counted if run.settings["latents"] == family]
        for family in FAMILIES
    }


def thesis_figure(study: Study) -> str:
    """A point for each run: MIG, and what a user pays for it."""
    return _figure(study, by_family(study), DRAWN, PALETTE)


def methods_table(study: Study) -> list[list[str]]:
    """Medians with intervals of each method under the protocol native, and below them the p-value
    of the Kruskal-Wallis test that a score has the same distribution in all."""
    groups: dict[tuple[Setting, ...], list[StudyRun]] = {
        (name,): runs for name, runs in by_method(study).items()
    }
    return _medians_table(["method"], groups, METHOD_SCORES, "native")


def by_method(study: Study) -> dict[str, list[StudyRun]]:
    """The runs of each method, in the order of `METHODS`: QLAE has weight decay, Tripod is FSQ with
    the Hessian penalty."""
    found: dict[str, list[StudyRun]] = {}
    for run in study.counted:
        family, name = run.settings["latents"], _family(run).label
        if family == "quantized" and not run.settings["weight_decay"]:
            name = "no decay"
        elif family == "fsq" and run.settings["hessian_weight"]:
            name = "Tripod"
        found.setdefault(name, []).append(run)
    return {name: found[name] for name in sorted(found, key=METHODS.index)}


def penalties_table(study: Study, base: Study) -> list[list[str]]:
    """For each score and method, how likely a run of the study scores higher than one of the same
    family in `base`, which has no penalties, and the p-value of the Mann-Whitney test of it."""
    with_penalty, without = by_method(study), by_method(base)
    rows = [["P(higher with the penalty) (p)", *with_penalty]]
    for score in METHOD_SCORES:
        cells = []
        for name, runs in with_penalty.items():
            plain = without["FSQ" if name == "Tripod" else name]
            higher, p = compared(*(values_of(some, score, "native") for some in (runs, plain)))
            cells.append(f"{higher:.2f} ({p_in_words(p)})")
        rows.append([MEANINGS[score].label, *cells])
    return rows


def holding_table(studies: Mapping[str, Study]) -> list[list[str]]:
    """InfoM from counted information, of all latents and of those that hold more than 0.05 nats:
    median and range of each method, and how likely a run has more than a Gaussian one."""
    rows = [["study", "method", "InfoM of all latents", "of those that hold 0.05 nats"]]
    for name, study in studies.items():
        found = {
            method: np.array([counted_infom(run) for run in runs])  # (runs, 2)
            for method, runs in by_method(study).items()
        }
        for method, values in found.items():
            cells = []
            for column, gaussian in zip(values.T, found["Gaussian"].T, strict=True):
                cell = f"{np.median(column):.2f} ({column.min():.2f} to {column.max():.2f})"
                if method != "Gaussian":
                    higher, p = compared(column.tolist(), gaussian.tolist())
                    cell += f"; P = {higher:.2f}, p = {p_in_words(p)}"
                cells.append(cell)
            rows.append([name, method, *cells])
    return rows


def counted_infom(run: StudyRun) -> tuple[float, float]:
    """InfoM from the mutual information of the protocol `paper`, in 20 bins: of all latents, and of
    those that hold more than 0.05 nats (`image_information`).

    The score itself counts a Gaussian latent that the decoder ignores, since its mean code still
    varies a little. Its estimates for the latents alone are not kept, so this counts bins.
    """
    record = Run(run.path)
    evaluation, counts = read_evaluation(record), record.record.category_counts
    shares = evaluation.information_shares("paper")  # (N, F)
    usage = evaluation.matrix("usage", "paper") if counts else None
    held = image_information(evaluation.matrix("kl", "paper")[0], usage, counts)
    return exclusiveness(shares), exclusiveness(shares[held > ACTIVE_NATS])


def methods_figure(study: Study) -> str:
    """A point for each run of each method."""
    return _figure(study, by_method(study), DRAWN_OF_METHODS, PALETTE, columns=2, protocol="native")


def setting_figure(study: Study, setting: str, label: str) -> str:
    """The same for each value of a setting."""
    groups = {
        _setting_in_words(value): runs for (value,), runs in by_settings(study, [setting]).items()
    }
    return _figure(study, groups, DRAWN_OF_SETTINGS, PALETTE[:1], label)


def _figure(
    study: Study,
    groups: Mapping[str, list[StudyRun]],
    drawn: Sequence[str],
    colors: Sequence[str],
    across: str = "",
    columns: int | None = None,
    protocol: ProtocolName = "paper",
) -> str:
    dataset = load_dataset(str(study.counted[0].settings["dataset"]), 32)
    perfect = reference_scores_of(dataset, protocol)
    panels = []
    for name in drawn:
        strips = [
            Strip(label, values, *interval(values))
            for label, runs in groups.items()
            if (values := values_of(runs, name, protocol))
        ]
        if strips:
            ceiling = perfect[name].perfect if name in perfect else None
            panels.append(Panel(MEANINGS[name].label, strips, ceiling, across))
    return strips_svg(panels, colors, columns)


def criteria_table(studies: Mapping[str, Study]) -> list[list[str]]:
    """How well each criterion without labels selects among the categorical runs of each study."""
    rows = [["study", "criterion", "score", "rho (95 %)", "selected", "best", "mean of all"]]
    for name, study in studies.items():
        for score in ("mig", "infom", "dci_fast_disentanglement"):
            if not any(run.score(score, "paper") is not None for run in study.counted):
                continue
            for found in compare_criteria(study, (), RECONSTRUCTION_GAP, score):
                rows.append([name, found.criterion, MEANINGS[score].label, *_in_numbers(found)])
    return rows


def _in_numbers(found: CriterionResult) -> list[str]:
    rho, pick = found.correlation, found.pick
    if rho.value is None or pick is None:
        return [rho.undefined or found.undefined, "—", "—", "—"]
    scores = (f"{value:.3f}" for value in (pick.picked, pick.best, pick.random))
    return [correlation_in_words(rho), *scores]


def settings_table(
    study: Study, *by: str, scores: Sequence[str] = SETTING_SCORES
) -> list[list[str]]:
    """Medians with intervals for each combination of settings. Below them, the p-value of the
    Kruskal-Wallis test that a score has the same distribution in all of them and, for one setting
    that is a number, its rank correlation with each score."""
    combinations = by_settings(study, by)
    scores = [name for name in scores if values_of(study.counted, name)]
    rows = _medians_table(by, combinations, scores, "paper")
    if len(by) == 1 and not any(isinstance(value, str) for (value,) in combinations):
        rows.append([f"rho with {by[0]} (95 %)", "", *(_trend(study, by[0], s) for s in scores)])
    return rows


def _medians_table(
    by: Sequence[str],
    groups: Mapping[tuple[Setting, ...], Sequence[StudyRun]],
    scores: Sequence[str],
    protocol: ProtocolName,
) -> list[list[str]]:
    rows = [[*by, "runs", *(MEANINGS[name].label for name in scores)]]
    for values, runs in groups.items():
        cells = [in_words(values_of(runs, name, protocol), name) for name in scores]
        rows.append([*map(_setting_in_words, values), str(len(runs)), *cells])
    samples = [[values_of(runs, name, protocol) for runs in groups.values()] for name in scores]
    tests = [
        "—" if len(found) < 2 or not all(found) else p_in_words(alike(found)) for found in samples
    ]
    return [*rows, ["p (Kruskal-Wallis)", *[""] * len(by), *tests]]


def _trend(study: Study, setting: str, score: str) -> str:
    """The rank correlation of a setting with a score."""
    pairs = [
        (float(at), value)
        for run in study.counted
        if (value := run.score(score, "paper")) is not None
        and (at := run.settings[setting]) is not None
    ]
    if not pairs:
        return "—"
    at, values = np.array(pairs).T
    return correlation_in_words(rank_correlation(at, values))


def correlation_in_words(rho: RankCorrelation) -> str:
    """Rho and its interval; the reason if it is undefined."""
    if rho.value is None:
        return rho.undefined
    if rho.low is None or rho.high is None:
        return f"{rho.value:.2f}"
    return f"{rho.value:.2f} ({rho.low:.2f} to {rho.high:.2f})"


def by_settings(study: Study, by: Sequence[str]) -> dict[tuple[Setting, ...], list[StudyRun]]:
    """The runs of each combination of some settings, in the order of their values."""
    found: dict[tuple[Setting, ...], list[StudyRun]] = {}
    for run in study.counted:
        found.setdefault(tuple(run.settings[name] for name in by), []).append(run)
    return dict(sorted(found.items(), key=lambda item: [sort_key(value) for value in item[0]]))


def _setting_in_words(value: Setting) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).replace("_", "-")


def alike(groups: Sequence[Sequence[float]]) -> float:
    """The p-value of the Kruskal-Wallis test; 1 if all values are equal."""
    from scipy.stats import kruskal

    if len({value for group in groups for value in group}) == 1:
        return 1.0
    return float(kruskal(*groups).pvalue)


def p_in_words(value: float) -> str:
    """A p-value with four digits."""
    return f"{value:.4f}" if value >= 1e-4 else "< 0.0001"


def values_of(runs: Sequence[StudyRun], name: str, protocol: ProtocolName = "paper") -> list[float]:
    """The values of a score, of the runs that have it."""
    return [value for run in runs if (value := run.score(name, protocol)) is not None]


def _family(run: StudyRun) -> FamilyInfo:
    return next(info for name, info in FAMILY_INFOS.items() if name == run.settings["latents"])


def in_words(values: Sequence[float], name: str) -> str:
    """Median and interval; — without values."""
    if not values:
        return "—"
    digits = DIGITS.get(name, 3)
    low, median, high = interval(values)
    return f"{median:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def compared(first: Sequence[float], second: Sequence[float]) -> tuple[float, float]:
    """Probability that a value of the first is higher, where a tie counts half, and the p-value of
    the two-sided Mann-Whitney test of it, exact without ties."""
    from scipy.stats import mannwhitneyu

    has_ties = len({*first, *second}) < len(first) + len(second)
    test = mannwhitneyu(first, second, method="asymptotic" if has_ties else "exact")
    return test.statistic / (len(first) * len(second)), float(test.pvalue)


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Lower end, median and upper end: 95 % of the medians of resampled runs lie between."""
    array = np.asarray(values)
    drawn = np.random.default_rng(0).choice(array, (RESAMPLES, len(array)))
    low, high = np.quantile(np.median(drawn, axis=1), (0.025, 0.975))
    return float(low), float(np.median(array)), float(high)


TABLES: dict[str, Callable[[Study], list[list[str]]]] = {
    "circles_steps": steps_table,
    "circles_thesis": thesis_table,
    "rooms_steps": steps_table,
    "rooms_thesis": thesis_table,
    "circles_quick": quick_table,
    "circles_continuous": thesis_table,
    "circles_categories": lambda study: settings_table(study, "num_categories"),
    "rooms_families_steps": methods_steps_table,
    "rooms_families": methods_table,
    "sprites_families": methods_table,
    "rooms_families_penalties": methods_table,
    "sprites_families_penalties": methods_table,
}
"""The studies and their tables."""

THESES = ("circles_thesis", "rooms_thesis", "circles_continuous")
"""The studies that compare the families."""

VARIED = {"circles_categories": ("num_categories", "number of categories K")}
"""The studies of one setting, with its name and its label."""

PENALIZED = {
    "rooms_families_penalties": "rooms_families",
    "sprites_families_penalties": "sprites_families",
}
"""The studies of total correlation, with the study of the same families without."""

METHODS = ("Gaussian", "Categorical", "QVAE", "QLAE", "no decay", "FSQ", "Tripod")
"""The methods in the order of tables and figures."""

FIGURES: dict[str, Callable[[Study], str]] = {
    **dict.fromkeys(THESES, thesis_figure),
    **{
        name: partial(setting_figure, setting=s, label=label) for name, (s, label) in VARIED.items()
    },
    "rooms_families": methods_figure,
    "sprites_families": methods_figure,
    "rooms_families_penalties": methods_figure,
    "sprites_families_penalties": methods_figure,
}
"""The studies with a figure."""


if __name__ == "__main__":
    main()
