"""Tables: the rows that pages show."""

from typing import Any, Literal

import pandas as pd
import streamlit as st

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
