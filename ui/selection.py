"""What a session has chosen, on whichever page: two runs, a protocol, and in each run a start, a
code, a latent and a factor. Every page reads and changes this one selection."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count
from typing import Literal

import streamlit as st

from dvae_core.evaluation.results import ProtocolName

Code = tuple[float, ...]

MAX_HISTORY = 200
_move_ids = count(1)
_START = re.compile(
    r"(?P<kind>factors|image|prior)-(?P<numbers>\d{1,9}(\.\d{1,9}){0,63})(~(?P<instance>\d{1,9}))?"
    r"|upload-(?P<upload>[0-9a-f]{16})",
    re.ASCII,
)


@dataclass(frozen=True)
class Start:
    """Where an exploration begins.

    Attributes:
        kind: an image by its factors, an image by its index in a set without factors, a sample of
            the prior, or an uploaded image.
        numbers: the factors (F,), the index, or the seed.
        instance: which of the images of these factors, in noisy sets.
        upload: the name under which `ui.uploads` keeps the image.
    """

    kind: Literal["factors", "image", "prior", "upload"]
    numbers: tuple[int, ...] = ()
    instance: int = 0
    upload: str = ""

    def to_text(self) -> str:
        """The start in a URL."""
        if self.kind == "upload":
            return f"upload-{self.upload}"
        numbers = ".".join(map(str, self.numbers))
        return f"{self.kind}-{numbers}" + (f"~{self.instance}" if self.instance else "")

    @classmethod
    def from_text(cls, text: str) -> "Start | None":
        """The start that a URL names, or None. Whether the data set has it is not known here."""
        found = _START.fullmatch(text)
        if found is None:
            return None
        if found["upload"]:
            return cls("upload", upload=found["upload"])
        values = tuple(int(part) for part in found["numbers"].split("."))
        if found["kind"] != "factors" and len(values) != 1:
            return None
        return cls(found["kind"], values, int(found["instance"] or 0))  # type: ignore[arg-type]


@dataclass(frozen=True)
class _Step:
    """A state of an exploration, and the move that leads away from it."""

    move: int
    start: Start | None
    code: Code | None
    hard: bool


@dataclass
class Exploration:
    """What a person looks at in a run.

    Attributes:
        address: of the run.
        start: where it began; None lets the page choose.
        code: where the handles stand, (N,); None means at the start's own code.
        hard: whether the start's code is that of the most likely categories.
        order_by: name of the factor by which Explore orders the latents; None orders them by KL.
        latent: the chosen latent.
        factor: name of the chosen factor.
    """

    address: str
    start: Start | None = None
    code: Code | None = None
    hard: bool = False
    order_by: str | None = None
    latent: int | None = None
    factor: str | None = None
    _past: list[_Step] = field(default_factory=list)
    _future: list[_Step] = field(default_factory=list)

    def move(self, code: Code | None, move: int | None = None) -> None:
        """Go to another code.

        Args:
            code: the new code; None for the start's own.
            move: from `new_move`, where several explorations change together.
        """
        self._remember(move)
        self.code = code

    def begin(self, start: Start | None, move: int | None = None, code: Code | None = None) -> None:
        """Go to another start.

        Args:
            start: the new start; None for none.
            move: as in `move`.
            code: the new code; None for the start's own.
        """
        self._remember(move)
        self.start, self.code = start, code

    def snap(self, hard: bool, code: Code | None, move: int | None = None) -> None:
        """Take the start's code as that of the most likely categories, or as their expectation.

        Args:
            hard: whether as that of the most likely categories.
            code: the new code; None for the start's own.
            move: as in `move`.
        """
        self._remember(move)
        self.hard, self.code = hard, code

    @property
    def last_move(self) -> int:
        """The move that `undo` takes back; 0 where there is none."""
        return self._past[-1].move if self._past else 0

    @property
    def next_move(self) -> int:
        """The move that `redo` repeats; 0 where there is none."""
        return self._future[-1].move if self._future else 0

    def _remember(self, move: int | None) -> None:
        self._past = [*self._past[1 - MAX_HISTORY :], self._step(move or new_move())]
        self._future = []

    def _step(self, move: int) -> _Step:
        return _Step(move, self.start, self.code, self.hard)

    def _go(self, origin: list[_Step], target: list[_Step]) -> None:
        step = origin.pop()
        target.append(self._step(step.move))
        self.start, self.code, self.hard = step.start, step.code, step.hard


def new_move() -> int:
    """Names a move that several explorations make together, so that they undo it together."""
    return next(_move_ids)


def undo(explorations: Iterable[Exploration]) -> None:
    """Take back the latest move of explorations, where there is one."""
    explorations = list(explorations)
    latest = max(each.last_move for each in explorations)
    for each in explorations:
        if latest and each.last_move == latest:
            each._go(each._past, each._future)


def redo(explorations: Iterable[Exploration]) -> None:
    """Repeat the move that was taken back last, where there is one."""
    following = [each for each in explorations if each.next_move]
    earliest = min((each.next_move for each in following), default=0)
    for each in following:
        if each.next_move == earliest:
            each._go(each._future, each._past)


@dataclass
class Selection:
    """The choices of a session.

    Attributes:
        run: address of the run; "" until there is one.
        is_chosen: whether a person or a link chose it, and not a page for want of a choice.
        second: address of the run that Compare shows beside it; "" until chosen.
        protocol: of every score that a page shows.
        within_data: whether handles stop only at values that occur in the data.
    """

    run: str = ""
    is_chosen: bool = False
    second: str = ""
    protocol: ProtocolName = "paper"
    within_data: bool = False
    _explorations: dict[str, Exploration] = field(default_factory=dict)

    def choose(self, address: str) -> None:
        """Choose the run."""
        self.run, self.is_chosen = address, True

    def exploration(self, address: str | None = None) -> Exploration:
        """What this session looks at in a run, by default in the chosen one."""
        address = self.run if address is None else address
        return self._explorations.setdefault(address, Exploration(address))


def current_selection() -> Selection:
    """The selection of this session."""
    return st.session_state.setdefault("selection", Selection())
