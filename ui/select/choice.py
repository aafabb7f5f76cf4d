"""What Select shows: the folder, the part of its runs, the score, and the link that says so."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import streamlit as st

from dvae_core.evaluation.catalog import MEANINGS
from dvae_core.evaluation.results import ProtocolName
from dvae_core.runs.catalog import list_runs, run_roots
from dvae_core.selection.report import GAP_LABELS
from dvae_core.selection.study import GROUP_BY, Setting, Study, sort_key
from ui import state
from ui.errors import plain
from ui.select.cached import st_read_study

PAGE = "select"
NAMES = ("folder", "view", "protocol", "score", "gap", "by", "only")
VIEWS = {
    "runs": "All runs",
    "gap": "Does the gap select?",
    "settings": "What a setting changes",
    "course": "How they converge",
}
SWEEP_COMMAND = "python -m dvae_core sweep sweeps/circles.toml --engine local"
MIN_RUNS = 3


@dataclass(frozen=True)
class StudyChoice:
    """What is in hand on the page.

    Attributes:
        folder: name of the folder of runs; with a run's name, that run's address.
        study: the chosen runs in it.
        view: which part of the page, one of `VIEWS`.
        score: the score in hand; "" where no run has any.
        gap: which gap; "" where no run has one.
        by: settings that are kept apart.
    """

    folder: str
    study: Study
    view: str
    score: str
    gap: str
    by: tuple[str, ...]


def choose_study() -> StudyChoice | None:
    """Let a person choose; None, and a word on how to make a folder, where there are no runs."""
    folders = {name: runs for name, root in run_roots().items() if (runs := list_runs(root))}
    view, is_new = state.read_view(PAGE, NAMES)
    if not folders:
        show_how_to_make_a_study("No runs yet")
        return None
    if is_new and view.get("folder", "") not in folders:
        named = view.get("folder", "")[:80]
        st.info(
            plain(f"The link names the folder “{named}”, which is not here. This is another one."),
            icon=":material/link_off:",
        )
    largest = max(folders, key=lambda name: len(folders[name]))
    with st.sidebar:
        _seed("folder", view, is_new, list(folders), largest)
        folder = st.selectbox(
            "Folder of runs",
            list(folders),
            format_func=lambda name: f"{name} ({len(folders[name])})",
            key=_key("folder"),
        )
        _seed("protocol", view, is_new, get_args(ProtocolName), "paper")
        protocol: ProtocolName = st.radio(
            "Protocol of the scores", get_args(ProtocolName), key=_key("protocol"), horizontal=True
        )
        whole = st_read_study(folders[folder], protocol)
        only = _choose_part(whole, view, is_new)
        study = whole.filtered(
            {name: list(values.values()) for name, values in only.items() if values}
        )
        score = _choose_score(study, view, is_new)
        gap = _choose_gap(study, view, is_new)
        by = _choose_groups(whole, view, is_new)
    _seed("view", view, is_new, list(VIEWS), "runs")
    shown = st.segmented_control(
        "Look at", list(VIEWS), format_func=VIEWS.__getitem__, key=_key("view"), required=True
    )
    choice = StudyChoice(folder, study, shown or "runs", score, gap, by)
    state.write_view(PAGE, _link(choice, {name: list(values) for name, values in only.items()}))
    return choice


def show_how_to_make_a_study(title: str) -> None:
    """Which commands make a folder of many runs."""
    st.markdown(f"#### {title}")
    st.write(
        "This page sets many runs of one folder side by side. A sweep makes them, from a file that "
        "says what varies, and measures them too:"
    )
    st.code(SWEEP_COMMAND, language="bash")
    st.write("Runs of your own, in a folder below `runs`, are measured by")
    st.code("python -m dvae_core evaluate runs/FOLDER/RUN --protocol paper", language="bash")


def score_label(name: str, protocol: str) -> str:
    """A score with its protocol, which has to stand beside every number."""
    return f"{MEANINGS[name].label} ({protocol})"


def _choose_part(
    study: Study, view: Mapping[str, str], is_new: bool
) -> dict[str, dict[str, Setting]]:
    """Values of the settings that runs are restricted to, by their text; none restricts nothing."""
    wanted = _parse_part(view.get("only", ""))
    part = {}
    with st.expander("Only some runs", icon=":material/filter_alt:"):
        if not study.varying:
            st.caption("The runs differ in no setting.")
        for name in study.varying:
            found = {run.settings.get(name) for run in study.runs}
            values = {_text(value): value for value in sorted(found, key=sort_key)}
            key = _key(f"only-{name}")
            if is_new or key not in st.session_state:
                st.session_state[key] = wanted.get(name, [])
            st.session_state[key] = [text for text in st.session_state[key] if text in values]
            chosen = st.multiselect(name, list(values), key=key, placeholder="all")
            part[name] = {text: values[text] for text in chosen}
    return part


def _choose_score(study: Study, view: Mapping[str, str], is_new: bool) -> str:
    if not study.score_names:
        return ""
    _seed("score", view, is_new, study.score_names, study.score_names[0])
    return st.selectbox(
        "Score",
        study.score_names,
        format_func=lambda name: MEANINGS[name].label,
        key=_key("score"),
    )


def _choose_gap(study: Study, view: Mapping[str, str], is_new: bool) -> str:
    if not study.gap_names:
        return ""
    _seed("gap", view, is_new, study.gap_names, study.gap_names[0])
    return st.radio(
        "Straight-through gap of the",
        study.gap_names,
        format_func=GAP_LABELS.__getitem__,
        key=_key("gap"),
        help="The whole loss contains the weighted terms of the objective, so it is compared "
        "between runs of equal weights only. The reconstruction compares across them.",
    )


def _choose_groups(study: Study, view: Mapping[str, str], is_new: bool) -> tuple[str, ...]:
    options = list(dict.fromkeys([*GROUP_BY, *study.varying]))
    key = _key("by")
    if is_new or key not in st.session_state:
        st.session_state[key] = [
            name for name in view.get("by", ",".join(GROUP_BY)).split(",") if name
        ]
    st.session_state[key] = [name for name in st.session_state[key] if name in options]
    return tuple(
        st.multiselect("Keep apart", options, key=key, help="Runs are grouped by these settings.")
    )


def _seed(
    name: str, view: Mapping[str, str], is_new: bool, options: Sequence[str], default: str
) -> None:
    """Give a widget its value before it is drawn: the link's, else its own, else the default."""
    key = _key(name)
    if is_new or key not in st.session_state:
        st.session_state[key] = view.get(name, default)
    if st.session_state[key] not in options:
        st.session_state[key] = default


def _key(name: str) -> str:
    return f"select-{name}"


def _link(choice: StudyChoice, only: Mapping[str, list[str]]) -> dict[str, str]:
    link = {
        "folder": choice.folder,
        "view": choice.view,
        "protocol": choice.study.protocol,
        "by": ",".join(choice.by),
    }
    if choice.score:
        link["score"] = choice.score
    if choice.gap:
        link["gap"] = choice.gap
    if any(only.values()):
        chosen = {name: texts for name, texts in only.items() if texts}
        link["only"] = json.dumps(chosen, separators=(",", ":"))
    return link


def _parse_part(text: str) -> dict[str, list[str]]:
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
