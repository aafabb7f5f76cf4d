"""What a session remembers, and the link that restores it: the one place that touches the URL.

`Exploration` is what a person is looking at: a run, a start, a code. The URL says the same
(`?run=checkpoints/circles-categorical&start=factors-3.17&code=0.25,-0.5`), so that a link shows
another person the same image, and the browser's Back goes to the code before.
"""

import math
import re
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import streamlit as st
from numpy.typing import NDArray

Code = tuple[float, ...]

MAX_HISTORY = 200
STALE_SECONDS = 3.0  # that a browser may take to hear of a new link
_START = re.compile(
    r"(?P<kind>factors|image|prior)-(?P<numbers>\d{1,9}(\.\d{1,9}){0,63})(~(?P<instance>\d{1,9}))?",
    re.ASCII,
)


@dataclass(frozen=True)
class Start:
    """Where an exploration begins.

    Attributes:
        kind: an image by its factors, an image by its place in a set without factors, a sample of
            the prior, or an uploaded image.
        numbers: the factors (F,), the index, or the seed.
        instance: which of the images that the numbers leave open, in noisy sets.
        upload: the uploaded image, uint8 (H, W, C).
    """

    kind: Literal["factors", "image", "prior", "upload"]
    numbers: tuple[int, ...] = ()
    instance: int = 0
    upload: NDArray[np.uint8] | None = field(default=None, compare=False)

    def to_text(self) -> str:
        """The start in a URL."""
        numbers = ".".join(map(str, self.numbers))
        return f"{self.kind}-{numbers}" + (f"~{self.instance}" if self.instance else "")

    @classmethod
    def from_text(cls, text: str) -> "Start | None":
        """The start that a URL names, or None. Whether the data set has it is not known here."""
        found = _START.fullmatch(text)
        if found is None:
            return None
        values = tuple(int(part) for part in found["numbers"].split("."))
        if found["kind"] != "factors" and len(values) != 1:
            return None
        return cls(found["kind"], values, int(found["instance"] or 0))  # type: ignore[arg-type]


@dataclass
class Exploration:
    """What a person looks at in a run: a start, a code, a latent, a factor.

    Attributes:
        address: of the run.
        start: where it began; None lets the page choose.
        code: where the handles stand, (N,); None means at the start's own code.
        hard: whether the start's code is that of the most likely categories.
        history: earlier starts, codes and `hard`, the latest last.
        order_by: the factor by which Explore orders the latents; None orders them by KL.
        latent: chosen in the heat map of Factors.
        factor: chosen there too, counted among the columns of the heat map.
    """

    address: str
    start: Start | None = None
    code: Code | None = None
    hard: bool = False
    history: list[tuple[Start | None, Code | None, bool]] = field(default_factory=list)
    order_by: int | None = None
    latent: int | None = None
    factor: int | None = None

    def move(self, code: Code | None) -> None:
        """Go to another code; `undo` comes back."""
        self._remember()
        self.code = code

    def begin(self, start: Start) -> None:
        """Go to another start, at its own code; `undo` comes back."""
        self._remember()
        self.start, self.code = start, None

    def begin_hard(self, hard: bool) -> None:
        """Take the start's code as that of the most likely categories, or as their expectation."""
        self._remember()
        self.hard, self.code = hard, None

    def undo(self) -> None:
        """Go back one step, where there is one."""
        if self.history:
            self.start, self.code, self.hard = self.history.pop()

    def _remember(self) -> None:
        self.history = [*self.history[1 - MAX_HISTORY :], (self.start, self.code, self.hard)]


def current_exploration(address: str) -> Exploration:
    """This session's exploration of a run."""
    explorations = st.session_state.setdefault("explorations", {})
    return explorations.setdefault(address, Exploration(address))


def enter_page(page: str) -> None:
    """Begin a run of a page. Its widgets are its own, also where another page uses their names."""
    if st.session_state.get("page") != page:
        st.session_state["page"] = page
        st.session_state["widgets"] = {}


def set_widget(name: str, value: object) -> str:
    """Give a widget its value before it is drawn.

    A widget that has its value keeps it: setting it again would overwrite what a person enters at
    this moment. One that is new on this page is always set, because under its key Streamlit still
    shows the value of the page before, which the new widget does not have.

    Returns:
        The widget's key. It changes where the value was changed by anything but the widget: a
        browser that does not know of the change yet sends the old value with the next input, and
        under the same key that would be taken for a choice.
    """
    widgets = _widgets()
    if name not in widgets:
        widgets[name] = name, 0
        st.session_state[name] = value
    key, replaced = widgets[name]
    if key in st.session_state and st.session_state[key] != value:
        key, replaced = f"{name}-{replaced + 1}", replaced + 1
        widgets[name] = key, replaced
    if key not in st.session_state:
        st.session_state[key] = value
    return key


def when_changed(key: str, take: Callable[[Any], None]) -> Callable[[], None]:
    """The `on_change` of a widget of `set_widget`: passes its value to `take`. Changes of a widget
    that was replaced in the meantime are ignored."""

    def pass_on() -> None:
        if any(key == current for current, _ in _widgets().values()):
            take(st.session_state[key])

    return pass_on


def _widgets() -> dict[str, tuple[str, int]]:
    """Key of each widget of this page, and the number of times it was replaced, by name."""
    widgets: dict[str, tuple[str, int]] = st.session_state.setdefault("widgets", {})
    return widgets


def current_address(known: Collection[str]) -> str | None:
    """The run that this session looks at, or None where it has not chosen one that exists."""
    address = st.session_state.get("address")
    return address if address in known else None


def choose_run(address: str) -> None:
    """Look at another run."""
    st.session_state["address"] = address


def read_link(known: Collection[str]) -> list[str]:
    """Take over what the URL says, where it says something this session did not write there.

    Args:
        known: addresses of the runs that exist.

    Returns:
        Notes on what could not be taken over.
    """
    link = {
        name: st.query_params[name]
        for name in ("run", "start", "code", "hard")
        if name in st.query_params
    }
    # A drag publishes its code from a fragment, which reads no link: what is told here is true, and
    # an earlier code is the browser's Back.
    if not link or link == st.session_state.get("link"):
        return []
    st.session_state["link"] = link
    notes = []
    if "run" not in link:
        return ["The link names no run, so its start and code mean nothing. This is a run of ours."]
    address = link["run"]
    if address not in known:
        return [f"The link names the run “{address[:80]}”, which is not here. This is another one."]
    choose_run(address)
    exploration = current_exploration(address)
    exploration.hard = link.get("hard") == "1"
    start = Start.from_text(link.get("start", ""))
    if start is not None:
        exploration.start = start
    elif "start" in link:
        notes.append(f"The link's start “{link['start'][:80]}” cannot be read.")
    exploration.code = _parse_code(link["code"]) if "code" in link else None
    if "code" in link and exploration.code is None:
        notes.append("The link's code cannot be read; the handles stand at the start.")
    return notes


def write_link(exploration: Exploration) -> None:
    """Make the URL say what is shown. An uploaded image stays out: it is on no other machine."""
    link = {"run": exploration.address}
    if exploration.start is not None and exploration.start.kind != "upload":
        link["start"] = exploration.start.to_text()
        if exploration.code is not None:
            # Nine digits give every float32 back as it was.
            link["code"] = ",".join(f"{value:.9g}" for value in exploration.code)
        if exploration.hard:
            link["hard"] = "1"
    _publish(link)


def read_view(page: str, names: Collection[str]) -> tuple[dict[str, str], bool]:
    """What a page that shows no single run is to show, by names of its own.

    Args:
        page: whose view it is.
        names: that its links have.

    Returns:
        The view, as the link or else as this session left it, and whether it is a link's that this
        session did not write.
    """
    views = st.session_state.setdefault("views", {})
    link = {name: st.query_params[name] for name in names if name in st.query_params}
    is_new = _is_news(link)
    if is_new:
        views[page] = link
    return views.get(page, {}), is_new


def current_view(page: str) -> dict[str, str]:
    """The view of a page as this session last read or wrote it."""
    view: dict[str, str] = st.session_state.setdefault("views", {}).get(page, {})
    return view


def remember_view(page: str, view: dict[str, str]) -> None:
    """Change the view of a page, in a callback; the page makes the URL say it when it is drawn."""
    st.session_state["views"][page] = view


def write_view(page: str, view: dict[str, str]) -> None:
    """Remember the view of a page, and make the URL say it."""
    remember_view(page, view)
    _publish(view)


def _is_news(link: dict[str, str]) -> bool:
    """Whether the browser tells a link that this session did not write; it is taken for known
    then. To be asked once, before a run of the page writes any."""
    if link == st.session_state.get("link"):
        st.session_state["published_at"] = -math.inf  # the browser has heard of it
        return False
    published_at = st.session_state.get("published_at", -math.inf)
    if not link or time.monotonic() - published_at < STALE_SECONDS:
        return False
    st.session_state["link"] = link
    return True


def _publish(link: dict[str, str]) -> None:
    if link != st.session_state.get("link") or link != st.query_params.to_dict():
        # A browser that has not heard of the new link yet goes on to tell the old one; one that
        # tells it later went Back.
        st.session_state["published_at"] = time.monotonic()
        st.session_state["link"] = link
        st.query_params.from_dict(link)


def _parse_code(text: str) -> Code | None:
    try:
        values = tuple(float(part) for part in text[:4096].split(","))
    except ValueError:
        return None
    return values if all(math.isfinite(v) for v in values) else None
