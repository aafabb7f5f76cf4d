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

AXES = {"steps": "training steps", "seconds": "seconds of training"}


def show_training_curves(choice: StudyChoice) -> None:
    """Bands of the groups over steps or seconds; a word where no run wrote anything down."""
    curves = _read(choice.study.finished)
    found = [name for name in COURSES if any(name in of_run for of_run in curves.values())]
    if not found:
        st.info(
            "No finished run here wrote down how its training went. Runs that are trained on this "
            "machine do; shipped ones may have left it out.",
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
            "Scores in the course of training are measured with the snapshots, which these runs "
            "were told not to take: `snapshot_every` above 0 takes them."
        )
    bands: dict[str, Band] = {}
    for group, runs in group_runs(choice.study.finished, choice.by).items():
        of_group = [curves[run.id][name] for run in runs if name in curves[run.id]]
        common = band(of_group, against)
        if common is not None:
            bands[group] = common
    if not bands:
        st.info("The runs of no group have a step or second in common.")
        return
    lines = [
        Line(group, common.at, common.median, common.low, common.high)
        for group, common in bands.items()
    ]
    figure = band_lines(lines, AXES[against], COURSES[name], height=480)
    st.plotly_chart(figure, key="select-courses", config=CHART_CONFIG)
    st.dataframe(_table(bands, against), hide_index=True, height="content")
    st.caption(
        "Median and range over the finished runs of each group, as far as all of them have come; "
        "between two points a run is taken to go straight. Scores in the course of training are "
        "of few points and rougher than those of an evaluation; reconstruction and KL are of "
        "training batches. Seconds hold for the machine and what else it was doing."
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
                "median at the end": common.median[-1],
                "least at the end": common.low[-1],
                "greatest at the end": common.high[-1],
                f"{against} until nine tenths of the median's way": reaches(common),
            }
            for group, common in bands.items()
        ]
    )
