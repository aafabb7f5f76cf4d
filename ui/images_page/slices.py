"""The conditions of a slice: a row of widgets for each, and what they leave."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import isfinite

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dvae_core.analysis.conditions import Comparison, Mask, comparison_of, slice_of
from dvae_core.analysis.encoded import EncodedSet
from dvae_core.analysis.slices import part_counts
from dvae_core.errors import ConfigError
from dvae_core.runs.names import LatentNames
from ui.errors import plain
from ui.images_page import view
from ui.images_page.quantities import describe, is_continuous, normalized, quantities
from ui.link import current_view
from ui.widgets import choose, when_changed, widget_key

HIGHEST, LOWEST = "highest", "lowest"
SIGNS = {
    "=": "is",
    "!=": "is not",
    ">=": "at least",
    "<=": "at most",
    ">": "more than",
    "<": "less than",
    "in": "from … to",
    HIGHEST: "among the highest, %",
    LOWEST: "among the lowest, %",
}
NEW = "loss >= 95%"


@dataclass(frozen=True)
class _Row:
    """A condition as widgets show it: `value` and `high` are texts of numbers."""

    quantity: str
    sign: str
    value: str
    high: str = ""

    def to_text(self) -> str:
        match self.sign:
            case "in":
                sign, value = "in", f"{self.value}..{self.high}"
            case "highest":
                sign, value = ">=", f"{100 - float(self.value):.10g}%"
            case "lowest":
                sign, value = "<=", f"{self.value}%"
            case _:
                sign, value = self.sign, self.value
        return Comparison(self.quantity, sign, value).to_text()

    @classmethod
    def from_text(cls, text: str) -> "_Row | None":
        """None for a condition that the widgets cannot show."""
        found = comparison_of(text)
        if found is None:
            return None
        quantity = normalized(found.quantity)
        if found.sign == "in":
            low, _, high = found.value.partition("..")
            return None if "%" in found.value else cls(quantity, "in", low, high)
        if not found.value.endswith("%"):
            return cls(quantity, found.sign.replace("==", "="), found.value)
        share = float(found.value[:-1])
        if found.sign == ">=":
            return cls(quantity, HIGHEST, f"{100 - share:.10g}")
        return cls(quantity, LOWEST, f"{share:.10g}") if found.sign == "<=" else None


def choose_slice(encoded: EncodedSet, names: LatentNames) -> Mask:
    """Let a person change the conditions, say how many images each one leaves, and return which
    images meet all that can be read, (n,)."""
    parts = view.conditions()
    masks: list[Mask] = []
    words: list[str] = []
    places: list[tuple[int, DeltaGenerator]] = []
    for place, part in enumerate(parts):
        with st.container(horizontal=True, vertical_alignment="bottom", key=f"condition-{place}"):
            row = _Row.from_text(part)
            if row is None:
                _show_text(place, part)
            else:
                _show_row(encoded, names, place, row)
            count = st.empty()
            _remove_button(f"remove-{place}", partial(_replace, place, ""))
        try:
            masks.append(slice_of(encoded, part))
        except ConfigError as error:
            st.error(plain(f"This condition is left out: {error}"), icon=":material/error:")
        else:
            words.append(part if row is None else _in_words(row, names))
            places.append((len(masks) - 1, count))
    if (points := _show_points(encoded)) is not None:
        masks.append(points)
        words.append("among the chosen points")
    with st.container(horizontal=True):
        st.button(
            "Add a condition",
            icon=":material/filter_alt:",
            key="condition-add",
            on_click=lambda: view.keep_conditions([*view.conditions(), NEW]),
            disabled=len(parts) >= view.MAX_CONDITIONS,
            help="All conditions together select a slice of the images. Remove one to undo it.",
        )
    mask = np.logical_and.reduce(masks) if masks else np.ones(len(encoded), bool)
    if len(masks) > 1:
        counts = part_counts(masks)
        for index, slot in places:
            slot.caption(f"{counts[index].alone:,} images", width="content")
    if not mask.any():
        st.warning(plain(_blame(masks, words)), icon=":material/filter_alt_off:")
    return mask


def _blame(masks: list[Mask], words: list[str]) -> str:
    """Which condition leaves no image."""
    counts = part_counts(masks)
    pairs = list(zip(words, counts, strict=True))
    if none := [word for word, count in pairs if not count.alone]:
        return f"The slice is empty: no image meets “{none[0]}”."
    without = [f"without “{word}” it has {c.without:,}" for word, c in pairs if c.without]
    reason = ", ".join(without) or "the conditions exclude one another"
    return f"The slice is empty, though each condition is met by some images: {reason}."


def _in_words(row: _Row, names: LatentNames) -> str:
    what = describe(row.quantity, names)
    if row.sign == "in":
        return f"{what} from {row.value} to {row.high}"
    if row.sign in (HIGHEST, LOWEST):
        return f"{what} among the {row.sign} {row.value} %"
    return f"{what} {SIGNS[row.sign]} {row.value}"


def _show_row(encoded: EncodedSet, names: LatentNames, place: int, row: _Row) -> None:
    choose(
        f"Condition {place + 1}",
        quantities(encoded, names, row.quantity),
        row.quantity,
        name=f"condition-{place}-what",
        take=lambda what: _replace(place, _first(what).to_text()),
        width=230,
    )
    kept = ("=", "!=") if is_continuous(row.quantity) else (HIGHEST, LOWEST)
    signs = [sign for sign in SIGNS if sign == row.sign or sign not in (*kept, ">", "<")]
    choose(
        f"Comparison {place + 1}",
        {sign: SIGNS[sign] for sign in signs},
        row.sign,
        name=f"condition-{place}-sign",
        take=lambda sign: _replace(place, _with_sign(row, sign).to_text()),
        label_visibility="collapsed",
        width=190,
    )
    _number(place, "Value", row.value, lambda text: _Row(row.quantity, row.sign, text, row.high))
    if row.sign == "in":
        _number(place, "To", row.high, lambda text: _Row(row.quantity, "in", row.value, text))


def _number(place: int, label: str, value: str, made: Callable[[str], _Row]) -> None:
    key = widget_key(f"condition-{place}-{label}", value)

    refused = f"condition-{place}-{label}-refused"

    def take(text: str) -> None:
        if _is_number(text):
            _replace(place, made(text.strip()).to_text())
        else:
            st.session_state[refused] = text

    st.text_input(
        f"{label} {place + 1}",
        value,
        key=key,
        on_change=when_changed(key, take),
        label_visibility="collapsed",
        max_chars=20,
        width=110,
    )
    if (text := st.session_state.pop(refused, None)) is not None:
        st.error(plain(f"“{text}” is no number, so the condition stays as it was."), width=320)


def _show_text(place: int, part: str) -> None:
    key = widget_key(f"condition-{place}-text", part)
    st.text_input(
        f"Condition {place + 1}",
        part,
        key=key,
        on_change=when_changed(key, partial(_replace, place)),
        width=450,
    )


def _show_points(encoded: EncodedSet) -> Mask | None:
    """The part of the slice that a person chose on the map."""
    if not current_view().get("points"):
        return None
    chosen = view.chosen_points(len(encoded))
    with st.container(horizontal=True, vertical_alignment="center", key="condition-points"):
        if chosen is None:
            st.error(
                "The points in the link were chosen among another number of images; they are left "
                "out.",
                icon=":material/error:",
            )
        else:
            st.markdown(f"among the **{np.count_nonzero(chosen):,}** points chosen on the map")
        _remove_button("remove-points", view.forget_points)
    return None if chosen is None else np.pad(chosen, (0, len(encoded) - len(chosen)))


def _remove_button(key: str, remove: Callable[[], None]) -> None:
    st.button("", icon=":material/close:", key=key, help="Remove this condition", on_click=remove)


def _replace(place: int, text: str) -> None:
    parts = view.conditions()
    if place < len(parts):
        view.keep_conditions([*parts[:place], text, *parts[place + 1 :]])


def _first(quantity: str) -> _Row:
    """A condition to begin with."""
    return _Row(quantity, HIGHEST, "5") if is_continuous(quantity) else _Row(quantity, "=", "0")


def _with_sign(row: _Row, sign: str) -> _Row:
    shares = (HIGHEST, LOWEST)
    if (row.sign in shares) != (sign in shares):  # a share is no value
        return _Row(row.quantity, sign, "5" if sign in shares else "0", "1")
    return _Row(row.quantity, sign, row.value, row.high or row.value)


def _is_number(text: str) -> bool:
    try:
        return isfinite(float(text)) and "_" not in text
    except ValueError:
        return False
