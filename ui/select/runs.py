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
from ui.expander import show_expander
from ui.routing import PAGES
from ui.run_picker import select_run
from ui.select.cached import st_correlations
from ui.select.choice import StudyChoice, score_label


def show_runs(choice: StudyChoice) -> None:
    """The table of all runs, to be sorted by a click on a head, and what is left out of it."""
    table = to_frame(runs_sheet(choice.study))
    table = table.drop(columns="not in the statistics because")
    st.dataframe(
        table,
        hide_index=True,
        height=min(560, 40 + 35 * max(1, len(table))),
        column_config={"run": st.column_config.TextColumn(pinned=True)},
        key="select-table",
        on_select=lambda: _open_row(choice.study.runs),
        selection_mode="single-row",
    )
    st.caption("Click a column header to sort. The box at the left of a row opens the run.")
    if reasons := choice.study.left_out:
        with show_expander(
            f"{len(reasons)} not in the statistics", "select-left-out", ":material/info:"
        ):
            for run_id, reason in reasons.items():
                st.caption(plain(f"{run_id}: {reason}"))
    show_downloads(choice)


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
    st.dataframe(
        pd.DataFrame(rows, columns=["group", "runs", f"median {label}", "minimum", "maximum"]),
        hide_index=True,
        height="content",
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
    """Open a run that was clicked, or choose one by keyboard."""
    runs = {run.id: run for run in choice.study.runs}
    asked = st.session_state.pop("select-asked", None)
    if asked in runs:
        _open(choice.folder, runs[asked])
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox(
            "Run to open",
            list(runs),
            index=None,
            placeholder="click a point or choose",
            key="select-run",
            width=300,
        )
        wanted = st.button(
            "Open in Explore", icon=":material/tune:", disabled=chosen is None, key="select-open"
        )
    if wanted and chosen is not None:
        _open(choice.folder, runs[chosen])


def ask_for_run(run_id: str) -> None:
    """Open a run when the page is drawn next: a callback cannot."""
    st.session_state["select-asked"] = run_id


def to_frame(sheet: Sheet) -> pd.DataFrame:
    """A table for `st.dataframe`."""
    return pd.DataFrame(sheet.rows, columns=list(sheet.columns))


def _open_row(runs: Sequence[StudyRun]) -> None:
    rows = st.session_state["select-table"]["selection"]["rows"]
    if rows and rows[0] < len(runs):
        ask_for_run(runs[rows[0]].id)


def _open(folder: str, found: StudyRun) -> None:
    run = Run(found.path)
    if problem := run.problem():
        st.error(plain(problem), icon=":material/error:")
    elif not run.has_model:
        st.error(plain(f"{found.id} has no weights yet: {found.state} at step {found.step:,}."))
    else:
        select_run(f"{folder}/{found.id}")
        st.switch_page(PAGES / "explore.py")
