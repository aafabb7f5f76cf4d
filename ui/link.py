"""The link in the address bar: it says what every page shows, and restores it.

Part of it is the selection (`?run=checkpoints/circles-categorical&start=factors-3.17&code=0.2,-1`),
the same on every page; a page adds names of its own, its view. The browser's Back and Forward send
earlier links. This is the one place that touches the URL.
"""

import math
import time
from collections.abc import Collection
from pathlib import Path
from typing import get_args

import streamlit as st

from dvae_core.evaluation.results import ProtocolName
from ui.selection import Code, Exploration, Start, current_selection
from ui.widgets import end_fragment

SELECTION = (
    "run",
    "second",
    "protocol",
    "within",
    "start",
    "code",
    "hard",
    "latent",
    "factor",
    "order",
)
OF_A_RUN = ("start", "code", "hard", "latent", "factor", "order")
MAX_KNOWN = 50  # an older link counts as new, which it is for this purpose
SETTLING_SECONDS = 0.5  # that a browser may take to hear of a new link; no person is that quick
_SHOWN, _KNOWN, _PUBLISHED_AT, _VIEWS = "link", "links-known", "link-published-at", "views"

View = dict[str, str]


def read_link(known: Collection[str], *, spoke: bool) -> list[str]:
    """Take over what the URL says, where it is not what this session wrote there.

    Args:
        known: addresses of the runs that exist.
        spoke: whether a person used a widget just now, so that the link may be the one before.

    Returns:
        Notes on what could not be taken over.
    """
    link = {name: text[:4096] for name, text in st.query_params.to_dict().items()}
    if not _is_news(link, spoke):
        return []
    st.session_state.setdefault(_VIEWS, {})[_page()] = {
        name: text for name, text in link.items() if name not in SELECTION
    }
    selection, notes = current_selection(), []
    protocol = link.get("protocol", "paper")  # which `write_link` leaves out
    if protocol in get_args(ProtocolName):
        selection.protocol = protocol  # type: ignore[assignment]
    else:
        notes.append(f"The link's protocol “{protocol[:80]}” does not exist.")
    selection.within_data = link.get("within") == "data"
    if "second" in link:
        if link["second"] in known:
            selection.second = link["second"]
        else:
            notes.append(
                f"The link names the second run “{link['second'][:80]}”, which is not here."
            )
    if "run" not in link:
        if any(name in link for name in OF_A_RUN):
            notes.append("The link names no run, so the rest of it was ignored.")
    elif link["run"] not in known:
        notes.append(f"The link names the run “{link['run'][:80]}”, which is not here.")
    else:
        selection.choose(link["run"])
        notes += _read_exploration(selection.exploration(), link)
    return notes


def write_link(*, in_fragment: bool = False) -> None:
    """Make the URL say the selection and the view of this page.

    Args:
        in_fragment: whether a fragment alone runs. The browser hears of the link with its answer,
            so that an earlier one is its Back at once.
    """
    if in_fragment:
        end_fragment()
    selection = current_selection()
    link = {}
    if selection.run:
        link = {"run": selection.run} | _exploration_in_words(selection.exploration())
    if selection.second:
        link["second"] = selection.second
    if selection.protocol != "paper":
        link["protocol"] = selection.protocol
    if selection.within_data:
        link["within"] = "data"
    link |= current_view()
    if link == st.session_state.get(_SHOWN) == st.query_params.to_dict():
        return
    # A browser that has not heard of the new link yet still sends the old one.
    st.session_state[_PUBLISHED_AT] = -math.inf if in_fragment else time.monotonic()
    st.session_state[_SHOWN] = link
    _remember(link)
    st.query_params.from_dict(link)


def join_history() -> None:
    """Make all links that follow one thing a person did a single entry for Back."""
    script = Path(__file__).with_name("history.js").read_text()
    st.html(f"<script>{script}</script>", unsafe_allow_javascript=True)


def current_view(page: str | None = None) -> View:
    """The view of a page, this one by default: the part of its link that is its own."""
    page = _page() if page is None else page
    view: View = st.session_state.setdefault(_VIEWS, {}).setdefault(page, {})
    return view


def set_view(page: str | None = None, /, **parts: str) -> None:
    """Change parts of the view of a page, this one by default; "" leaves one out."""
    views: dict[str, View] = st.session_state.setdefault(_VIEWS, {})
    page = _page() if page is None else page
    view = views.get(page, {}) | parts
    views[page] = {name: text for name, text in view.items() if text}


def _remember(link: View) -> None:
    st.session_state[_KNOWN] = [*st.session_state.get(_KNOWN, [])[-MAX_KNOWN:], link]


def _page() -> str:
    page: str = st.session_state["page"]
    return page


def _is_news(link: View, spoke: bool) -> bool:
    """Whether the browser sends a link that this session did not write; it is known then. To be
    asked once, before a run of the page writes any."""
    if not link:
        return False
    if link == st.session_state.get(_SHOWN):
        st.session_state[_PUBLISHED_AT] = -math.inf  # the browser has heard of it
        return False
    # One that this session knows comes from a browser that has not heard of the newest yet, or
    # from its Back; a person who went Back used no widget.
    published_at = st.session_state.get(_PUBLISHED_AT, -math.inf)
    is_known = link in st.session_state.get(_KNOWN, [])
    if is_known and (spoke or time.monotonic() - published_at < SETTLING_SECONDS):
        return False
    st.session_state[_SHOWN] = link
    st.session_state[_PUBLISHED_AT] = -math.inf
    _remember(link)
    return True


def _read_exploration(exploration: Exploration, link: View) -> list[str]:
    notes = []
    exploration.hard = link.get("hard") == "1"
    start = Start.from_text(link.get("start", ""))
    if start is not None:
        exploration.start = start
    elif "start" in link:
        notes.append(f"The link's start “{link['start'][:80]}” cannot be read.")
    exploration.code = parse_code(link["code"]) if "code" in link else None
    if "code" in link and exploration.code is None:
        notes.append("The link's code cannot be read; the handles stand at the start.")
    latent = link.get("latent", "")
    exploration.latent = int(latent) if latent.isdecimal() and len(latent) < 4 else None
    exploration.factor = link.get("factor")
    exploration.order_by = link.get("order")
    return notes


def _exploration_in_words(exploration: Exploration) -> View:
    words: dict[str, str | None] = {
        "start": exploration.start.to_text() if exploration.start else None,
        "code": write_code(exploration.code) if exploration.code else None,
        "hard": "1" if exploration.hard else None,
        "latent": None if exploration.latent is None else str(exploration.latent),
        "factor": exploration.factor,
        "order": exploration.order_by,
    }
    return {name: text for name, text in words.items() if text is not None}


def write_code(code: Code) -> str:
    """A code in a link. Nine digits give every float32 back as it was."""
    return ",".join(f"{value:.9g}" for value in code)


def parse_code(text: str) -> Code | None:
    """The code that a link names, or None."""
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        return None
    return values if all(math.isfinite(v) for v in values) else None
