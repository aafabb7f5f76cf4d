"""What a page that failed shows in its place."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import streamlit as st

from dvae_core.errors import CoreError
from dvae_core.runs.catalog import usable_runs
from ui.errors import in_words, plain, show_unexpected
from ui.run_picker import OPENING_RUN, describe, select_run
from ui.selection import current_selection


@contextmanager
def page_errors_shown(title: str) -> Iterator[None]:
    """Show an error of a page with the way to another run, which may be the cure: a damaged run
    must not keep anyone from the others."""
    try:
        yield
    except Exception as error:
        run = current_selection().run
        what = f"{title} cannot show {describe(run)}" if run else f"{title} failed"
        if isinstance(error, CoreError | OSError):
            st.error(plain(f"{what}: {in_words(error)}"), icon=":material/error:")
        else:
            show_unexpected(f"{what}. Other runs and the other pages work.", error)
        if (other := _other_run(run)) is not None:
            st.button(
                f"Show {describe(other)} instead",
                icon=":material/swap_horiz:",
                key="page-error-other-run",
                on_click=partial(select_run, other),
            )


def _other_run(run: str) -> str | None:
    """The address of a run to show instead, or None."""
    try:
        others = [address for address, _ in usable_runs() if address != run]
    except Exception:  # it may be what the page failed of
        return None
    return OPENING_RUN if OPENING_RUN in others else next(iter(others), None)
