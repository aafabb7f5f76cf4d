"""What a setting changes: scores, gap, used categories and cost over its values."""

from collections.abc import Callable, Sequence

import numpy as np
import streamlit as st

from dvae_core.evaluation.catalog import MEANINGS
from dvae_core.figures.selection import Line, band_lines
from dvae_core.selection.study import COSTS, StudyRun
from dvae_core.selection.trends import numeric_settings, trends
from ui.charts import CHART_CONFIG
from ui.select.choice import StudyChoice, score_label
from ui.select.runs import show_ways

Number = Callable[[StudyRun], float | None]

DEFAULT = "num_categories"
LOGARITHMIC_FROM = 8  # times the least value


def show_settings(choice: StudyChoice) -> None:
    """A chart for each number that may depend on the chosen setting."""
    settings = numeric_settings(choice.study)
    if not settings:
        st.info(
            "These runs differ in no numeric setting, such as num_categories or gamma. A sweep "
            "varies them:",
            icon=":material/info:",
        )
        st.code(
            "python -m dvae_core sweep sweeps/circles_categories.toml --engine local", language=None
        )
        return
    first = settings.index(DEFAULT) if DEFAULT in settings else 0
    setting = st.selectbox("Setting", settings, index=first, key="select-setting", width=300)
    scores = [choice.score]
    if st.toggle("Show every other score", key="select-every-trend"):
        scores += [name for name in choice.study.score_names if name != choice.score]
    columns = st.columns(2)
    drawn = 0
    for label, number in _numbers(choice, scores).items():
        lines = _lines(choice, setting, number)
        if lines:
            with columns[drawn % 2]:
                st.markdown(f"**{label}**")
                figure = band_lines(
                    lines,
                    setting,
                    label,
                    logarithmic=_is_wide(lines),
                    height=330,
                    order=list(choice.study.groups(choice.by)),
                )
                st.plotly_chart(figure, key=f"select-trend-{label}", config=CHART_CONFIG)
            drawn += 1
    st.caption(
        f"Median and range over the runs at each value of {setting}, pooled over seeds and over "
        "settings that are not grouped. Seconds per step depend on the machine and its load."
    )
    show_ways(choice)


def _numbers(choice: StudyChoice, scores: Sequence[str]) -> dict[str, Number]:
    protocol = choice.study.protocol

    def reader(name: str) -> Number:
        return lambda run: run.score(name, protocol)

    first, *others = scores
    numbers = {score_label(name, protocol): reader(name) for name in [first]}
    numbers |= {MEANINGS[name].label: reader(name) for name in choice.study.gap_names}
    numbers |= dict(COSTS.values())
    return numbers | {score_label(name, protocol): reader(name) for name in others}


def _lines(choice: StudyChoice, setting: str, number: Number) -> list[Line]:
    return [
        Line(
            trend.group,
            np.array(trend.values),
            np.array([summary.median for summary in trend.summaries]),
            np.array([summary.low for summary in trend.summaries]),
            np.array([summary.high for summary in trend.summaries]),
        )
        for trend in trends(choice.study, choice.by, setting, number)
    ]


def _is_wide(lines: list[Line]) -> bool:
    least = min(line.x[0] for line in lines)
    return least > 0 and max(line.x[-1] for line in lines) >= LOGARITHMIC_FROM * least
