"""Tables: the rows that pages show."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import pandas as pd
import streamlit as st

from ui.widgets import when_changed, widget_key

MISSING = "–"
THREE_DECIMALS = st.column_config.NumberColumn(format="%.3f")


def show_table(
    table: pd.DataFrame, *, height: int | Literal["content"] = "content", **options: Any
) -> None:
    """The rows without their numbers, a dash where a value is missing.

    Args:
        table: as read.
        height: pixels, or "content" for all rows.
        **options: of `st.dataframe`.
    """
    st.dataframe(table, hide_index=True, height=height, placeholder=MISSING, **options)


def choose_rows(
    table: pd.DataFrame,
    chosen: Sequence[int],
    *,
    name: str,
    take: Callable[[list[int]], None],
    mode: Literal["single-row", "multi-row"] = "single-row",
    **options: Any,
) -> None:
    """As `show_table`, with a tick at each row that the app holds as chosen.

    Args:
        table: as read.
        chosen: numbers of its rows, in the order in which `take` got them.
        name: as in `widget_key`.
        take: is called with the rows that a person chose.
        mode: whether a person can choose many.
        **options: of `show_table`.
    """
    selection = {"selection": {"rows": list(chosen), "columns": [], "cells": []}}
    key = widget_key(name, selection)
    show_table(
        table,
        key=key,
        on_select=when_changed(key, lambda state: take(state["selection"]["rows"])),
        selection_mode=mode,
        selection_default=selection,
        **options,
    )
