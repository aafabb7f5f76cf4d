"""Errors of the core on a page, and other people's text as text."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from dvae_core.errors import CoreError


@contextmanager
def errors_shown() -> Iterator[None]:
    """Show an error of the core, or of the disk, in place of what failed; the rest of the page
    lives on."""
    try:
        yield
    except CoreError as error:
        st.error(plain(str(error)), icon=":material/error:")
    except OSError as error:  # a full disk, a folder that may not be written
        what = f"{error.filename or 'a file'}: {error.strerror or error}"
        st.error(plain(what), icon=":material/error:")


def plain(text: str) -> str:
    """Text that Streamlit's Markdown shows as it stands: file names and the like come from
    strangers."""
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!|~$:])", r"\\\1", text)
