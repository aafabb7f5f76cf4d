"""Widgets that show what the app holds: the one way to give them a value, and number fields."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import streamlit as st

from ui.errors import plain
from ui.upload_memory import drop_uploads

T = TypeVar("T")

_SPOKE = "widget-spoke"
_Widgets = dict[str, tuple[str, int, tuple[str, ...]]]


def enter_page(page: str) -> bool:
    """Begin a run of a page. Its widgets are its own, also where another page uses their names.

    Returns:
        Whether a person used a widget of `widget_key` just now.
    """
    if st.session_state.get("page") != page:
        st.session_state["page"] = page
        st.session_state["widgets"] = {}
        drop_uploads()  # of the fields of the page before
    return bool(st.session_state.pop(_SPOKE, False))


def end_fragment() -> None:
    """End a run of a fragment, whose answer the browser has heard: what a person did in it says
    nothing of the next run of the page."""
    st.session_state.pop(_SPOKE, None)


def widget_key(name: str, value: object, labels: Sequence[str] = ()) -> str:
    """The key of a widget that shows a value of the app. The caller gives the widget that value as
    its default too.

    Setting `st.session_state` instead would lose the value now and then: when a run is overtaken by
    the next one, the browser does not hear of it, and the widget comes up with its own default,
    which a later input sends along as if a person had chosen it.

    Args:
        name: of the widget on its page.
        value: that it shows.
        labels: of its options, where they can change. A browser sends the label of what it shows;
            under the same key, one of before would be taken for a choice.

    Returns:
        A key that stays while the person and the app agree on the value. It changes where anything
        but the widget changed the value: a browser that does not know of the change yet sends the
        old value with the next input, and under the same key that would be taken for a choice.
    """
    widgets, labels = _widgets(), tuple(labels)
    if name not in widgets:
        widgets[name] = name, 0, labels
        return name
    key, replaced, shown = widgets[name]
    if labels != shown or (key in st.session_state and st.session_state[key] != value):
        key, replaced = f"{name}-{replaced + 1}", replaced + 1
        widgets[name] = key, replaced, labels
    return key


def when_changed(key: str, take: Callable[[Any], None]) -> Callable[[], None]:
    """The `on_change` of a widget of `widget_key`: passes its value to `take`. Changes of a widget
    that was replaced in the meantime are ignored."""

    def pass_on() -> None:
        st.session_state[_SPOKE] = True
        if any(key == current for current, _, _ in _widgets().values()):
            take(st.session_state[key])

    return pass_on


def _widgets() -> _Widgets:
    """Key of each widget of this page, the number of times it was replaced, and the labels of its
    options, by name."""
    widgets: dict[str, tuple[str, int, tuple[str, ...]]] = st.session_state.setdefault(
        "widgets", {}
    )
    return widgets


def choose(
    label: str,
    options: Mapping[T, str],
    value: T,
    *,
    name: str,
    take: Callable[[T], None],
    **more: Any,
) -> None:
    """A select box of `options`, in words, that shows a value of the app; `name` and `take` as in
    `widget_key` and `when_changed`, `more` for `st.selectbox`."""
    key = widget_key(name, value, tuple(options.values()))
    st.selectbox(
        label,
        list(options),
        list(options).index(value),
        format_func=options.__getitem__,
        key=key,
        on_change=when_changed(key, take),
        **more,
    )


def whole_number(
    label: str,
    low: int,
    high: int,
    *,
    key: str,
    default: int | None = None,
    take: Callable[[int], None] | None = None,
    help: str | None = None,
    placeholder: str | None = None,
    width: int = 220,
) -> int | None:
    """A field for a whole number from `low` to `high`.

    A text field: `st.number_input` keeps a number out of its range to the browser, so that the
    server goes on with the number before, which the page no longer shows.

    `take` gets each number that a person enters.

    Returns:
        The number; None where the field holds none, and the page then says what it takes. Without a
        default it may stay empty.
    """

    def number_in(text: str) -> int | None:
        number = parse_whole(text)
        return number if number is not None and low <= number <= high else None

    def pass_on() -> None:
        number = number_in(st.session_state[key])
        if take is not None and number is not None:
            take(number)

    with st.container(width=width):
        text = st.text_input(
            label,
            "" if default is None else str(default),
            key=key,
            on_change=pass_on,
            help=help,
            placeholder=placeholder,
            max_chars=20,
        )
        if default is None and not text.strip() and placeholder:
            return None
        number = number_in(text)
        if number is None:
            st.error(plain(refusal(label, text, low, high)))
        return number


def refusal(label: str, text: str, low: float, high: float, *, whole: bool = True) -> str:
    """What is wrong with a text that is no number from `low` to `high`."""
    number = "whole number" if whole else "number"
    return f"{label} is “{text}”: enter a {number} from {low:,g} to {high:,.10g}."


def parse_whole(text: str) -> int | None:
    """The whole number that a text is, with or without separators of thousands, or None."""
    digits = text.strip().replace(",", "")
    return int(digits) if digits.removeprefix("-").isdecimal() and digits.isascii() else None
