"""Naming a latent and its categories."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from zoneinfo import ZoneInfo

import streamlit as st

from dvae_core.analysis.latent_data import LatentData
from dvae_core.errors import CoreError
from dvae_core.runs.names import (
    MAX_NAME,
    MAX_NOTE,
    LatentName,
    LatentNames,
    name_latent,
    undo_name,
)
from dvae_core.runs.run import Run
from ui.errors import in_words, plain
from ui.expander import show_expander
from ui.link import current_view, set_view
from ui.widgets import choose, when_changed, widget_key

_REFUSED = "names-refused"  # texts that could not be saved, and why, by the key of their field


def show_naming(run: Run, latent: int, names: LatentNames, data: LatentData | None) -> None:
    """Fields for the name and the note of a latent and for the name of a category. A change is
    saved at once.

    Args:
        run: the run.
        latent: index of the latent.
        names: of the run.
        data: what the data say about the latent, for a suggestion; None without data.
    """
    if data is not None and not names.name(latent):
        _show_suggestion(run, data)
    # Always the same words: with others the browser takes it for another one, and closes it.
    with show_expander("Name and note", "latent-naming", ":material/edit_note:"):
        entry = names.entry(latent)
        _text_field(st.text_input, "Name", run, latent, None, "name", entry, MAX_NAME)
        _text_field(st.text_area, "Note", run, latent, None, "note", entry, MAX_NOTE)
        _show_undo(run, latent, None, names)
        if run.record.category_counts:
            category = _choose_category(latent, run.record.category_counts[latent], names)
            entry = names.entry(latent, category)
            label = f"Name of category {category}"
            _text_field(st.text_input, label, run, latent, category, "name", entry, MAX_NAME)
            _show_undo(run, latent, category, names)


def _show_suggestion(run: Run, data: LatentData) -> None:
    factor = data.suggested_factor
    if factor is None:
        return
    name = data.factor_names[factor][:MAX_NAME]
    st.button(
        plain(f"Name it “{name}”"),
        icon=":material/label:",
        key="latent-suggestion",
        help="Takes the name of the factor of which the latent holds the largest share.",
        on_click=_save,
        args=(run, data.latent, None, "name", _key(run, data.latent, None, "name"), name),
    )


def _text_field(
    field: Callable[..., str],
    label: str,
    run: Run,
    latent: int,
    category: int | None,
    part: str,
    entry: LatentName | None,
    most: int,
) -> None:
    """A text that is saved when it changes. One that is refused stays in the field, so the browser
    must not cut it short either."""
    name = _key(run, latent, category, part)
    text, why = _refused().get(name, (getattr(entry, part) if entry else "", ""))
    key = widget_key(name, text)
    field(
        label,
        text,
        key=key,
        help=f"At most {most:,} characters. Every page shows the name."
        if part == "name"
        else f"At most {most:,} characters.",
        on_change=when_changed(key, partial(_save, run, latent, category, part, name)),
    )
    if why:
        st.error(plain(f"Not saved: {why}"), icon=":material/error:")


def _show_undo(run: Run, latent: int, category: int | None, names: LatentNames) -> None:
    """When the texts were written, and the way back to those before."""
    entry, earlier = names.entry(latent, category), names.earlier(latent, category)
    if entry is None and not earlier:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        if earlier:
            before = earlier[0].name or earlier[0].note or "no name"
            st.button(
                "Undo",
                icon=":material/undo:",
                key="latent-undo" if category is None else "category-undo",
                help=plain(f"Back to: {before}"),
                on_click=_undo,
                args=(run, latent, category),
            )
        if entry is not None:
            st.caption(f"Written {in_local_words(entry.written_at)}")


def _choose_category(latent: int, count: int, names: LatentNames) -> int:
    """The category to name, which the link says."""
    wanted = current_view().get("category", "")
    category = int(wanted) if wanted.isdecimal() and len(wanted) < 4 and int(wanted) < count else 0
    choose(
        "Category",
        {index: names.words(latent, index) for index in range(count)},
        category,
        name="latent-category",
        take=lambda category: set_view(category=str(category)),
        width=320,
    )
    return category


def _save(
    run: Run, latent: int, category: int | None, part: str, place: str, text: str | None
) -> None:
    """Save a text, or keep it with the reason why it could not be saved."""
    texts = {part: text or ""}
    try:
        name_latent(run, latent, **texts, category=category, written_at=_now())
    except (CoreError, OSError) as error:
        _refused()[place] = text or "", in_words(error)
    else:
        _refused().pop(place, None)


def _undo(run: Run, latent: int, category: int | None) -> None:
    try:
        undo_name(run, latent, category)
    except (CoreError, OSError) as error:
        st.error(plain(in_words(error)), icon=":material/error:")


def _key(run: Run, latent: int, category: int | None, part: str) -> str:
    return f"latent-{part}-{run.path}-{latent}-{category}"


def _refused() -> dict[str, tuple[str, str]]:
    refused: dict[str, tuple[str, str]] = st.session_state.setdefault(_REFUSED, {})
    return refused


def _now() -> datetime:
    """The time of the author's browser; of the server if the browser does not say its zone."""
    try:
        zone = ZoneInfo(st.context.timezone or "")
    except (KeyError, ValueError):  # unknown here
        zone = None
    return datetime.now(zone).astimezone(zone).replace(microsecond=0)


def in_local_words(time: datetime) -> str:
    """A time as its author's clock showed it, with the difference to UTC."""
    offset = time.strftime("%z")
    zone = "UTC" if offset == "+0000" else f"UTC{offset[:3]}:{offset[3:5]}"
    return f"{time.day} {time:%B %Y, %H:%M} ({zone})"
