"""All runs of a study: the table, why some do not count, the groups, and opening one."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from dvae_core.evaluation.catalog import MEANINGS
from dvae_core.figures.selection import group_boxes
from dvae_core.runs.run import Run
from dvae_core.selection.report import picks_sheet, runs_sheet
from dvae_core.selection.study import StudyRun, values_of
from dvae_core.selection.tables import Sheet
from dvae_core.selection.trends import summarize
from ui.charts import CHART_CONFIG
from ui.errors import plain
from ui.evaluation_job import show_evaluation_of_all
from ui.expander import show_expander
from ui.link import set_view
from ui.routing import PAGES
from ui.run_picker import is_shipped, select_run
from ui.select.cached import st_correlations
from ui.select.choice import StudyChoice, score_label
from ui.selection import current_selection
from ui.tables import THREE_DECIMALS, choose_rows, show_table
from ui.widgets import when_changed, widget_key

_TICKED = "select-ticked-runs"


def show_runs(choice: StudyChoice) -> None:
    """The table of all runs, to be sorted by a click on a head, and what is left out of it."""
    table = to_frame(runs_sheet(choice.study)).dropna(axis="columns", how="all")
    table = table.drop(columns="not in the statistics because", errors="ignore")
    runs = choice.study.runs
    place = {run.id: row for row, run in enumerate(runs)}
    scores = [
        column
        for column in table.columns
        if column.endswith(f"({choice.study.protocol})") and (table[column].dropna() % 1).any()
    ]
    choose_rows(
        table,
        [place[run_id] for run_id in st.session_state.get(_TICKED, []) if run_id in place],
        name="select-table",
        take=lambda rows: _tick([runs[row].id for row in rows if row < len(runs)]),
        mode="multi-row",
        height=min(560, 40 + 35 * max(1, len(table))),
        column_config=dict.fromkeys(scores, THREE_DECIMALS)
        | {
            "run": st.column_config.ButtonColumn(
                pinned=True,
                alignment="left",
                type="tertiary",
                key="select-name",
                on_click=lambda: ask_for_run(runs[st.session_state["select-name"]["row"]].id),
            )
        },
    )
    st.caption(
        "Click a run's name to open it, or a column header to sort. Tick two runs to compare them."
    )
    if reasons := choice.study.left_out:
        with show_expander(
            f"{len(reasons)} not in the statistics", "select-left-out", ":material/info:"
        ):
            for run_id, reason in reasons.items():
                st.caption(plain(f"{run_id}: {reason}"))
    _show_evaluation(choice)
    show_downloads(choice)


def _show_evaluation(choice: StudyChoice) -> None:
    """The evaluation of one's own runs that have no scores yet."""
    if is_shipped(choice.folder):
        return
    protocol = choice.study.protocol
    runs = [Run(found.path) for found in choice.study.finished if not found.problem]
    unevaluated = [Run(found.path) for found in choice.study.unevaluated]
    show_evaluation_of_all(runs, unevaluated, protocol)


def show_groups(choice: StudyChoice) -> None:
    """The chosen score by groups: median and range, and every run as a point."""
    study, label = choice.study, score_label(choice.score, choice.study.protocol)
    st.subheader(f"{MEANINGS[choice.score].label} by groups")
    groups = {
        name: values_of(runs, [choice.score], study.protocol)
        for name, runs in study.groups(choice.by).items()
    }
    groups = {name: (runs, table) for name, (runs, table) in groups.items() if runs}
    rows = []
    for name, (_, table) in groups.items():
        summary = summarize(table[:, 0].tolist())
        rows.append((name, summary.count, summary.median, summary.low, summary.high))
    columns = ["group", "runs", f"median {label}", "minimum", "maximum"]
    show_table(
        pd.DataFrame(rows, columns=columns),
        column_config=dict.fromkeys(columns[2:], THREE_DECIMALS),
    )
    boxes = {
        name: (table[:, 0], [run.id for run in runs]) for name, (runs, table) in groups.items()
    }
    st.plotly_chart(group_boxes(boxes, label), key="select-boxes", config=CHART_CONFIG)
    show_ways(choice)


def show_ways(choice: StudyChoice) -> None:
    """How the chosen score was measured, so that nobody compares scores of different estimators."""
    ways = choice.study.ways_measured(choice.score)
    st.caption(plain(f"{MEANINGS[choice.score].label} measured on: {'; '.join(ways)}."))


def show_downloads(choice: StudyChoice) -> None:
    """The tables as CSV and LaTeX."""
    sheets = [runs_sheet(choice.study)]
    if choice.gap:
        sheets.append(st_correlations(choice.study, choice.by, choice.gap))
        sheets.append(picks_sheet(choice.study, choice.by, choice.gap))
    with st.popover("Download tables", icon=":material/download:"):
        for sheet in sheets:
            for suffix, content in (("csv", sheet.to_csv()), ("tex", sheet.to_latex())):
                name = f"{sheet.name}.{suffix}"
                st.download_button(name, content, name, on_click="ignore", width="stretch")
        st.caption("LaTeX needs the package booktabs.")


def show_opening(choice: StudyChoice) -> None:
    """Open the run whose name or point was clicked, and open or compare those that are ticked."""
    runs = {run.id: run for run in choice.study.runs}
    asked = st.session_state.pop("select-asked", None)
    if asked in runs:
        _open(choice.folder, [runs[asked]])
    ticked = [run_id for run_id in st.session_state.get(_TICKED, []) if run_id in runs]
    key = widget_key("select-ticked", ticked)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.multiselect(
            "Runs to open or compare",
            list(runs),
            ticked,
            placeholder="tick rows, or choose here",
            key=key,
            on_change=when_changed(key, _tick),
            width=420,
        )
        opened = st.button(
            "Open in Explore",
            icon=":material/tune:",
            disabled=len(ticked) != 1,
            key="select-open",
            help="Choose one run.",
        )
        compared = st.button(
            "Compare",
            icon=":material/compare:",
            disabled=len(ticked) != 2,
            key="select-compare",
            help="Choose two runs.",
        )
    if opened or compared:
        _open(choice.folder, [runs[run_id] for run_id in ticked])


def ask_for_run(run_id: str) -> None:
    """Open a run when the page is drawn next: a callback cannot."""
    st.session_state["select-asked"] = run_id


def to_frame(sheet: Sheet) -> pd.DataFrame:
    """A table for `st.dataframe`."""
    return pd.DataFrame(sheet.rows, columns=list(sheet.columns))


def _tick(run_ids: list[str]) -> None:
    st.session_state[_TICKED] = run_ids


def _why_no_weights(run: Run, row: StudyRun) -> str:
    if run.status().weights_kept:
        return f"{row.id} has no weights yet: {row.state} at step {row.step:,}."
    return (
        f"{row.id} is a record: it has scores and curves, but no weights, so no page can show its "
        f"latents. Train it again to see them."
    )


def _open(folder: str, found: Sequence[StudyRun]) -> None:
    """Show one run on Explore, or two on Compare."""
    runs = [Run(each.path) for each in found]
    for run, each in zip(runs, found, strict=True):
        if problem := run.problem():
            st.error(plain(problem), icon=":material/error:")
            return
        if not run.has_model:
            st.error(plain(_why_no_weights(run, each)))
            return
    addresses = [f"{folder}/{each.id}" for each in found]
    select_run(addresses[0])
    if len(found) == 1:
        st.switch_page(PAGES / "explore.py")
    shapes = [run.record.image_shape for run in runs]
    if shapes[0] != shapes[1]:
        sizes = " and ".join("x".join(map(str, shape)) for shape in shapes)
        st.error(f"These runs have images of {sizes}: Compare needs two of the same shape.")
        return
    current_selection().second = addresses[1]
    set_view("compare", part="settings")
    st.switch_page(PAGES / "compare.py")
