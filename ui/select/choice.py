"""What Select shows: the folder, the part of its runs, the score, and the link that says so."""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import streamlit as st

from dvae_core.evaluation.catalog import MEANINGS
from dvae_core.runs.catalog import list_runs, run_roots
from dvae_core.selection.report import GAP_LABELS
from dvae_core.selection.study import GROUP_BY, Setting, Study, sort_key
from ui.cached import st_read_study
from ui.errors import plain
from ui.expander import show_expander
from ui.link import View, current_view, set_view
from ui.run_picker import choose_protocol
from ui.view import choose_part
from ui.widgets import choose, when_changed, widget_key

VIEWS = {
    "runs": "All runs",
    "gap": "Does the gap predict the scores?",
    "settings": "Effect of a setting",
    "course": "Convergence",
}
SWEEP_COMMAND = "python -m dvae_core sweep sweeps/circles.toml --engine local"
MIN_RUNS = 3
_NONE = "-"  # no setting at all, where "" would mean the usual ones


@dataclass(frozen=True)
class StudyChoice:
    """What a person has chosen on the page.

    Attributes:
        folder: name of the folder of runs; with a run's name, that run's address.
        study: the runs in it that meet the filter.
        total: number of runs in it.
        view: which part of the page, one of `VIEWS`.
        score: the chosen score; "" where no run has any.
        gap: which gap; "" where no run has one.
        by: settings that are kept apart.
    """

    folder: str
    study: Study
    total: int
    view: str
    score: str
    gap: str
    by: tuple[str, ...]


def choose_study() -> StudyChoice | None:
    """Let a person choose; None, and a word on how to make a folder, where there are no runs."""
    folders = {name: runs for name, root in run_roots().items() if (runs := list_runs(root))}
    view = current_view()
    if not folders:
        show_how_to_make_a_study("No runs yet")
        return None
    largest = max(folders, key=lambda name: len(folders[name]))
    if "folder" in view and view["folder"] not in folders:
        st.info(
            plain(
                f"The link names the folder “{view['folder'][:80]}”, which does not exist here. "
                f"Showing {largest} instead."
            ),
            icon=":material/link_off:",
        )
    with st.sidebar:
        folder = view.get("folder", "") if view.get("folder", "") in folders else largest
        choose(
            "Folder of runs",
            {name: f"{name} ({len(runs)})" for name, runs in folders.items()},
            folder,
            name="select-folder",
            take=partial(_keep, "folder"),
        )
        protocol = choose_protocol()
        whole = st_read_study(folders[folder], protocol)
        filters = _choose_filters(whole, view)
        study = whole.filtered({name: values for name, values in filters.items() if values})
        score = _choose_score(study, view)
        gap = _choose_gap(study, view)
        by = _choose_groups(whole, view)
    shown = choose_part("Look at", "view", VIEWS, key="select-view", default="runs")
    choice = StudyChoice(folder, study, len(whole.runs), shown or "runs", score, gap, by)
    _make_link(choice, filters, whole.default_groups)
    return choice


def show_how_to_make_a_study(title: str) -> None:
    """Which commands make a folder of many runs."""
    st.markdown(f"#### {title}")
    st.write(
        "This page compares the runs of one folder. A sweep trains and evaluates them, from a "
        "file that lists what varies:"
    )
    st.code(SWEEP_COMMAND, language=None)


def score_label(name: str, protocol: str) -> str:
    """A score with its protocol, which has to stand beside every number."""
    return f"{MEANINGS[name].label} ({protocol})"


def _choose_filters(study: Study, view: View) -> dict[str, list[Setting]]:
    """Values that each setting is restricted to; none restricts nothing."""
    wanted = _parse_filters(view.get("only", ""))

    def keep(name: str, texts: list[str]) -> None:
        _keep("only", _filters_to_text({**wanted, name: texts}))

    chosen: dict[str, list[Setting]] = {}
    with show_expander("Filter runs", "select-filter", ":material/filter_alt:"):
        if not study.varying:
            st.caption("The runs differ in no setting.")
        for name in study.varying:
            found = {run.settings.get(name) for run in study.runs}
            values = {_text(value): value for value in sorted(found, key=sort_key)}
            texts = st.multiselect(
                name,
                list(values),
                placeholder="all",
                **_several_of(values, f"only-{name}", wanted.get(name, []), partial(keep, name)),
            )
            chosen[name] = [values[text] for text in texts]
    return chosen


def _choose_score(study: Study, view: View) -> str:
    if not study.score_names:
        return ""
    return st.selectbox(
        "Score",
        study.score_names,
        format_func=lambda name: MEANINGS[name].label,
        **_one_of(study.score_names, "score", view),
    )


def _choose_gap(study: Study, view: View) -> str:
    if not study.gap_names:
        return ""
    return st.radio(
        "Straight-through gap of the",
        study.gap_names,
        format_func=GAP_LABELS.__getitem__,
        help="The total loss includes the weighted terms of the objective, so it is comparable "
        "only between runs of equal weights. The reconstruction loss is comparable across weights.",
        **_one_of(study.gap_names, "gap", view),
    )


def _choose_groups(study: Study, view: View) -> tuple[str, ...]:
    options = list(dict.fromkeys([*GROUP_BY, *study.varying]))
    wanted = view.get("by", ",".join(study.default_groups)).split(",")
    chosen = st.multiselect(
        "Group by",
        options,
        help="Runs are grouped by these settings.",
        **_several_of(options, "by", wanted, lambda names: _keep("by", ",".join(names))),
    )
    return tuple(chosen)


def _one_of(options: Sequence[str], name: str, view: View) -> dict[str, Any]:
    """Index, key and callback of a widget that shows one value of the view, or the first."""
    value = view.get(name, "")
    if value not in options:
        value = options[0]
    return {"index": list(options).index(value)} | _widget(name, value, partial(_keep, name))


def _several_of(
    options: Collection[str], name: str, wanted: list[str], take: Callable[[list[str]], None]
) -> dict[str, Any]:
    """Default, key and callback of a widget that shows the wanted values that exist."""
    shown = [value for value in wanted if value in options]
    return {"default": shown} | _widget(name, shown, take)


def _widget(name: str, value: object, take: Callable[[Any], None]) -> dict[str, Any]:
    key = widget_key(f"select-{name}", value)
    return {"key": key, "on_change": when_changed(key, take)}


def _keep(name: str, text: str) -> None:
    set_view(**{name: text or _NONE if name == "by" else text})


def _make_link(
    choice: StudyChoice, filters: Mapping[str, list[Setting]], default_groups: tuple[str, ...]
) -> None:
    # Another folder may have other usual groups, so only a choice is kept.
    set_view(
        folder=choice.folder,
        view=choice.view,
        by="" if choice.by == default_groups else ",".join(choice.by) or _NONE,
        score=choice.score,
        gap=choice.gap,
        only=_filters_to_text({name: map(_text, values) for name, values in filters.items()}),
    )


def _filters_to_text(filters: Mapping[str, Iterable[str]]) -> str:
    chosen = {name: texts for name, values in filters.items() if (texts := list(values))}
    return json.dumps(chosen, separators=(",", ":")) if chosen else ""


def _parse_filters(text: str) -> dict[str, list[str]]:
    try:
        only = json.loads(text[:4096])
    except (ValueError, RecursionError):
        return {}
    if not isinstance(only, dict):
        return {}
    return {
        name: [text for text in texts if isinstance(text, str)]
        for name, texts in only.items()
        if isinstance(texts, list)
    }


def _text(value: Setting) -> str:
    return "none" if value is None else str(value)
