"""How runs converge: a number in the course of training, median and range over seeds."""

import pandas as pd
import streamlit as st

from dvae_core.errors import RunError
from dvae_core.figures.selection import Line, band_lines
from dvae_core.runs.run import Run
from dvae_core.selection.study import StudyRun, group_runs
from dvae_core.selection.training_curves import COURSES, Band, TrainingCurve, band, reaches
from ui.charts import CHART_CONFIG
from ui.errors import plain
from ui.select.cached import st_training_curves
from ui.select.choice import StudyChoice
from ui.tables import THREE_DECIMALS, show_table

AXES = {"steps": "training steps", "seconds": "seconds of training"}


def show_training_curves(choice: StudyChoice) -> None:
    """Bands of the groups over steps or seconds; a word where no run wrote anything down."""
    curves = _read(choice.study.finished)
    found = [name for name in COURSES if any(name in of_run for of_run in curves.values())]
    if not found:
        st.info(
            "No finished run here has a training history. Runs trained on this machine keep "
            "one; shipped runs may not.",
            icon=":material/info:",
        )
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox(
            "Number", found, format_func=COURSES.__getitem__, key="select-course", width=320
        )
        against = st.segmented_control(
            "Against", list(AXES), default="steps", required=True, key="select-against"
        )
    if "mig" not in found:
        st.caption(
            "Scores during training are measured with each snapshot. These runs took none: set "
            "`snapshot_every` above 0."
        )
    bands: dict[str, Band] = {}
    for group, runs in group_runs(choice.study.finished, choice.by).items():
        of_group = [curves[run.id][name] for run in runs if name in curves[run.id]]
        common = band(of_group, against)
        if common is not None:
            bands[group] = common
    if not bands:
        st.info("No group has runs that share a training step or second.")
        return
    lines = [
        Line(group, common.at, common.median, common.low, common.high)
        for group, common in bands.items()
    ]
    groups = list(choice.study.groups(choice.by))
    figure = band_lines(lines, AXES[against], COURSES[name], height=480, order=groups)
    st.plotly_chart(figure, key="select-courses", config=CHART_CONFIG)
    table = _table(bands, against)
    show_table(table, column_config=dict.fromkeys(table.columns[2:5], THREE_DECIMALS))
    st.caption(
        "Median and range over the finished runs of each group, up to the point that all of "
        "them reached, interpolated linearly. Scores during training use few points and are "
        "rougher than those of an evaluation; reconstruction and KL are averages over training "
        "batches. Seconds depend on the machine and its load."
    )


def _read(runs: tuple[StudyRun, ...]) -> dict[str, dict[str, TrainingCurve]]:
    curves: dict[str, dict[str, TrainingCurve]] = {}
    for run in runs:
        try:
            curves[run.id] = st_training_curves(Run(run.path))
        except RunError as error:
            curves[run.id] = {}
            st.warning(plain(str(error)), icon=":material/warning:")
    return curves


def _table(bands: dict[str, Band], against: str) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "group": group,
                "runs": common.count,
                "final median": common.median[-1],
                "final minimum": common.low[-1],
                "final maximum": common.high[-1],
                f"{against} to 90 % of the median's change": reaches(common),
            }
            for group, common in bands.items()
        ]
    )
