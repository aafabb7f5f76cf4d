"""A choice that is part of a page's view: the link says it and restores it."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import streamlit as st

from ui.link import current_view, set_view
from ui.widgets import when_changed, widget_key


def choose_part(
    label: str,
    name: str,
    parts: Mapping[str, str],
    *,
    key: str,
    default: str | None = None,
    **options: Any,
) -> str | None:
    """Let a person choose one part of a page.

    Args:
        label: of the control.
        name: of the choice in the link.
        parts: labels of the parts, by their name in the link.
        key: of the widget.
        default: what is shown without a choice; None shows no part.
        options: for `st.segmented_control`.
    """
    wanted = current_view().get(name)
    shown = wanted if wanted in parts else default
    key = widget_key(key, shown)
    return st.segmented_control(
        label,
        list(parts),
        format_func=parts.__getitem__,
        default=shown,
        required=default is not None,
        key=key,
        on_change=when_changed(key, partial(_keep, name)),
        **options,
    )


def _keep(name: str, part: str | None) -> None:
    set_view(**{name: part or ""})
