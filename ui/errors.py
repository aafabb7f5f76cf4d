"""Errors on a page, and other people's text as text."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from dvae_core.errors import CoreError, one_line

_ADDRESS = re.compile(r"https?:(?=//)|www(?=\.)|(?=@)", re.IGNORECASE)


@contextmanager
def errors_shown() -> Iterator[None]:
    """Show an error in place of what failed; the rest of the page lives on."""
    try:
        yield
    except (CoreError, OSError) as error:
        st.error(plain(in_words(error)), icon=":material/error:")
    except Exception as error:
        show_unexpected("This part of the page failed. The rest of the page works.", error)


def show_unexpected(what: str, error: Exception) -> None:
    """An error that nobody expected: what it means for a person, and for a report its details."""
    logging.getLogger(__name__).exception("an error in the app")
    st.error(plain(what), icon=":material/error:")
    with st.expander("Details for a bug report"):
        st.exception(error)


def in_words(error: CoreError | OSError) -> str:
    """What an error of the core says, or of the disk: that it is full, or may not be written."""
    if isinstance(error, OSError):
        return f"{error.filename or 'a file'}: {error.strerror or error}"
    return str(error)


def plain(text: str) -> str:
    """Text that Streamlit's Markdown shows as it stands, on one line: file names and the like come
    from strangers.

    Markdown makes links of bare addresses too, also of escaped ones; an invisible word joiner in
    each prevents it.
    """
    text = _ADDRESS.sub("\\g<0>\u2060", one_line(text))
    return re.sub(r"([\\&`*_{}\[\]()<>#+\-.!|~$:=])", r"\\\1", text)
