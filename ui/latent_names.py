"""The names of latents on every page: those of a run, and a search over all runs."""

import streamlit as st

from dvae_core.errors import CoreError
from dvae_core.runs.names import NO_NAMES, FoundLatent, LatentNames, find_latents, latent_names
from dvae_core.runs.run import Run
from ui.errors import in_words, plain
from ui.expander import show_expander
from ui.routing import PAGES
from ui.run_picker import describe, select_run
from ui.selection import current_selection

MOST_FOUND = 20
EXCERPT = 80  # characters of a note


def shown_names(run: Run) -> LatentNames:
    """The names of a run's latents; none, and a note on the page, if their file is damaged."""
    try:
        return latent_names(run)
    except (CoreError, OSError) as error:
        st.warning(plain(f"No names of latents: {in_words(error)}"), icon=":material/label_off:")
        return NO_NAMES


@st.fragment
def show_search() -> None:
    """Find a latent of any run by its name or note; a click leads to it."""
    with show_expander("Find a latent", "latent-search", ":material/search:"):
        if not st.session_state["latent-search"]:
            return
        text = st.text_input(
            "Name or note",
            key="latent-search-text",
            placeholder="wall hue",
            help="Looks in the names and notes of the latents and categories of all runs.",
        )
        found = find_latents(text)
        if not found:
            st.caption(
                f"No name or note contains {plain(text)}."
                if text.strip()
                else "No latent has a name yet. Name one on Latents."
            )
        for place, one in enumerate(found[:MOST_FOUND]):
            _show_found(one, text, f"latent-found-{place}")
        if len(found) > MOST_FOUND:
            st.caption(f"{len(found) - MOST_FOUND} more: type more of the name.")


def _show_found(one: FoundLatent, text: str, key: str) -> None:
    entry = one.entry
    words = f"latent {entry.latent}"
    if entry.category is not None:
        words += f", category {entry.category}"
    if entry.name:
        words += f" · {entry.name}"
    with st.container(gap=None):
        asked = st.button(plain(words), key=key, type="tertiary")
        where = [describe(one.address), *([_excerpt(entry.note, text)] if entry.note else [])]
        st.caption(plain(": ".join(where)))
    if asked:
        select_run(one.address)
        current_selection().exploration(one.address).latent = entry.latent
        st.switch_page(PAGES / "latents.py")


def _excerpt(note: str, text: str) -> str:
    """The part of a note around the text, or its beginning, on one line."""
    line = " ".join(note.split())
    at = max(0, line.casefold().find(text.strip().casefold()))
    start = max(0, at - EXCERPT // 4)
    end = start + EXCERPT
    return ("…" if start else "") + line[start:end] + ("…" if line[end:] else "")
