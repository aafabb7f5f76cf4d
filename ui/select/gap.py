"""Does the straight-through gap select? Scatter, rank correlations, picks, all runs at once."""

from collections.abc import Sequence

import streamlit as st

from dvae_core.evaluation.catalog import MEANINGS
from dvae_core.figures.selection import (
    Axis,
    Line,
    Points,
    band_lines,
    gap_scatter,
    parallel_coordinates,
)
from dvae_core.selection.gap import MIN_RUNS, expected_picks, gap_groups, gap_picks
from dvae_core.selection.report import GAP_LABELS, picks_sheet
from dvae_core.selection.study import Floats, Study, StudyRun, values_of, varying_settings
from ui.charts import CHART_CONFIG
from ui.errors import plain
from ui.select.cached import st_correlations, st_criteria
from ui.select.choice import StudyChoice, score_label
from ui.select.runs import ask_for_run, show_opening, show_ways, to_frame
from ui.tables import THREE_DECIMALS, show_table


def show_gap(choice: StudyChoice) -> None:
    """The whole view; a word where no run has a gap."""
    if not choice.gap:
        st.info(
            "No run here has a straight-through gap. Gaussian latents have none; for "
            "categorical runs, use `python -m dvae_core evaluate RUN --metrics "
            "straight_through_gap`.",
            icon=":material/info:",
        )
        return
    st.markdown(
        "The straight-through gap is the change in loss when the decoder reads the most likely "
        "categories instead of the expected code. It needs no labels, and a smaller gap is "
        "taken as more disentangled. This view tests that on these runs: where the gap predicts "
        "well, higher-is-better scores fall as the gap grows (ρ near −1)."
    )
    _show_scatter(choice)
    _show_correlations(choice)
    if MEANINGS[choice.score].better:
        _show_picks(choice)
        _show_criteria(choice)
    _show_parallel(choice)


def _show_scatter(choice: StudyChoice) -> None:
    st.subheader(f"The gap against {MEANINGS[choice.score].label}")
    show_opening(choice)
    _draw_scatter(choice, choice.score, legend=True)
    show_ways(choice)
    if st.toggle("Show every other score", key="select-every"):
        others = [name for name in choice.study.score_names if name != choice.score]
        columns = st.columns(3)
        for index, name in enumerate(others):
            with columns[index % len(columns)]:
                _draw_scatter(choice, name, legend=False)


def _draw_scatter(choice: StudyChoice, score: str, *, legend: bool) -> None:
    picks = {found.group: found.pick for found in gap_picks(*_asked(choice), [score])}
    points = []
    for name, runs in gap_groups(*_asked(choice)).items():
        complete, table = _gap_and_score(choice, runs, score)
        pick = picks.get(name)
        points.append(
            Points(
                name,
                table[:, 0],
                table[:, 1],
                tuple(run.id for run in complete),
                pick.picked_runs[0] if pick is not None else "",
            )
        )
    key = f"select-scatter-{score}"
    st.plotly_chart(
        gap_scatter(points, _gap_label(choice), score_label(score, choice.study.protocol))
        if legend
        else gap_scatter(points, "gap", MEANINGS[score].label, legend=False),
        key=key,
        on_select=lambda: _take_click(key),
        selection_mode="points",
        config=CHART_CONFIG,
    )


def _show_correlations(choice: StudyChoice) -> None:
    st.subheader("Rank correlation with every score")
    sheet = st_correlations(choice.study, choice.by, choice.gap)
    show_table(
        to_frame(sheet).drop(columns="resamples"),
        height=min(600, 40 + 35 * len(sheet.rows)),
        column_config=dict.fromkeys(("rho", "low", "high"), THREE_DECIMALS),
    )
    st.caption(
        plain(sheet.caption)
        + " Each interval misses the true value in about 1 of 20 cases, so some of many will."
    )


def _show_picks(choice: StudyChoice) -> None:
    st.subheader("The run that the gap picks")
    sheet = picks_sheet(choice.study, choice.by, choice.gap)
    frame = to_frame(sheet)
    of_score = frame[frame["score"] == MEANINGS[choice.score].label]
    numbers = ("picked", "best", "median", "random", "regret", "regret of random")
    show_table(
        of_score.drop(columns=["score", "better"]),
        column_config=dict.fromkeys(numbers, THREE_DECIMALS),
    )
    st.caption(plain(sheet.caption) + " A ring marks the picked run in the scatter plot.")
    groups = {
        name: table
        for name, runs in gap_groups(*_asked(choice)).items()
        if len(table := _gap_and_score(choice, runs, choice.score)[1]) >= MIN_RUNS
    }
    if not groups:
        return
    st.markdown("**Expected score of the run chosen among n runs**")
    group = next(iter(groups))
    if len(groups) > 1:
        group = st.selectbox("Group", list(groups), key="select-group", width=480)
    table = groups[group]
    expected = expected_picks(table[:, 0], table[:, 1], MEANINGS[choice.score].better)
    line = Line("smallest gap", expected.sizes, expected.by_gap, expected.by_gap, expected.by_gap)
    figure = band_lines(
        [line],
        "runs to choose from",
        score_label(choice.score, choice.study.protocol),
        dashed={
            "best score (needs labels)": (expected.sizes, expected.by_score),
            "at random": (expected.sizes, expected.random),
        },
    )
    st.plotly_chart(figure, key="select-expected", config=CHART_CONFIG)


def _show_criteria(choice: StudyChoice) -> None:
    st.subheader("Other criteria that need no labels")
    sheet = st_criteria(choice.study, choice.by, choice.gap, choice.score)
    numbers = ("rho", "low", "high", "picked", "best", "regret", "regret of random")
    show_table(
        to_frame(sheet),
        column_config=dict.fromkeys(numbers, THREE_DECIMALS),
    )
    st.caption(plain(sheet.caption))


def _show_parallel(choice: StudyChoice) -> None:
    study = choice.study
    st.subheader("Settings and scores together")
    runs, table = values_of(study.counted, [choice.gap, choice.score], study.protocol)
    everywhere = [
        name
        for name in study.score_names
        if name != choice.score and all(run.score(name, study.protocol) is not None for run in runs)
    ]
    others = st.multiselect(
        "More axes",
        everywhere,
        format_func=lambda name: MEANINGS[name].label,
        key="select-axes",
        placeholder="scores that all these runs have",
    )
    axes = [
        Axis(name, [_axis_value(run.settings[name]) for run in runs])
        for name in varying_settings(runs)
    ]
    scores = [choice.gap, choice.score, *others]
    _, values = values_of(runs, scores, study.protocol)
    axes += [
        Axis(MEANINGS[name].label, values[:, column].tolist()) for column, name in enumerate(scores)
    ]
    figure = parallel_coordinates(axes, table[:, 1], MEANINGS[choice.score].label)
    st.plotly_chart(figure, key="select-parallel", config=CHART_CONFIG)
    st.caption(
        f"One line for each of the {len(runs)} runs that have the gap and "
        f"{MEANINGS[choice.score].label}. Drag along an axis to select a range; drag its name "
        "to move it."
    )


def _axis_value(value: object) -> float | str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    return "none" if value is None else str(value)


def _asked(choice: StudyChoice) -> tuple[Study, tuple[str, ...], str]:
    return choice.study, choice.by, choice.gap


def _gap_and_score(
    choice: StudyChoice, runs: Sequence[StudyRun], score: str
) -> tuple[list[StudyRun], Floats]:
    return values_of(runs, (choice.gap, score), choice.study.protocol)


def _gap_label(choice: StudyChoice) -> str:
    return f"straight-through gap, {GAP_LABELS[choice.gap]}, nats"


def _take_click(key: str) -> None:
    """Remember a clicked point: the chart forgets it when it is drawn again."""
    points = st.session_state[key]["selection"]["points"]
    if points:
        ask_for_run(str(points[0]["customdata"][0]))
