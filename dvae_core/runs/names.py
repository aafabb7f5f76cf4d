"""Names and notes that people give to the latents and categories of a run.

They are in names.json in the folder of the run. Those of a run that nobody may write to, such as a
shipped one, are in the folder `names` of the data folder.
"""

import hashlib
import os
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from filelock import FileLock, Timeout
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from dvae_core.config import RunConfig, explain
from dvae_core.data.folder import data_folder
from dvae_core.errors import ConfigError, CoreError, RunError
from dvae_core.runs.catalog import all_runs, shipped_place
from dvae_core.runs.files import MAX_NAMES_BYTES, NAMES
from dvae_core.runs.run import Run
from dvae_core.runs.storage import read_record
from dvae_core.runs.texts import checked_text, plausible_time
from dvae_core.system.files import write_atomically

MAX_NAME, MAX_NOTE = 80, 2_000  # characters
MAX_ENTRIES, MAX_REPLACED = 4_000, 100
SHORT_NAME = 24  # characters on an axis
_LOCK_SECONDS = 10


def _limited(most: int) -> AfterValidator:
    def check(text: str) -> str:
        if len(text) > most:
            raise PydanticCustomError(
                "length", f"{len(text):,} characters are too many: give at most {most:,}"
            )
        return text

    return AfterValidator(check)


def _tidied(text: object) -> object:
    """One spelling for each text, so that it is found however it was typed."""
    if not isinstance(text, str):
        return text
    return unicodedata.normalize("NFC", text).replace("\r\n", "\n").strip()


Line = Annotated[str, AfterValidator(checked_text), BeforeValidator(_tidied), _limited(MAX_NAME)]
_Paragraphs = Annotated[
    str,
    AfterValidator(lambda text: checked_text(text, "\n\t")),
    BeforeValidator(_tidied),
    _limited(MAX_NOTE),
]


class LatentName(BaseModel):
    """What a person wrote about a latent, or about one of its categories."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    latent: int = Field(ge=0, description="index, from 0")
    category: int | None = Field(None, ge=0, description="index, from 0; None for the latent")
    name: Line = Field("", description="one line of at most 80 characters")
    note: _Paragraphs = Field("", description="at most 2,000 characters")
    written_at: Annotated[AwareDatetime, AfterValidator(plausible_time)] = Field(
        description="by the clock of the author"
    )

    @property
    def place(self) -> tuple[int, int | None]:
        """The latent and the category."""
        return self.latent, self.category

    @property
    def texts(self) -> tuple[str, str]:
        """The name and the note."""
        return self.name, self.note


class LatentNames(BaseModel):
    """names.json: the names of a run, and those that they replaced."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: Literal[1] = 1
    entries: tuple[LatentName, ...] = Field((), max_length=MAX_ENTRIES)
    replaced: tuple[LatentName, ...] = Field(
        (), max_length=MAX_REPLACED, description="earlier entries, the latest first"
    )

    @model_validator(mode="after")
    def _each_is_named_once(self) -> "LatentNames":
        if len({entry.place for entry in self.entries}) < len(self.entries):
            raise PydanticCustomError("twice", "A latent or a category is named twice")
        return self

    def entry(self, latent: int, category: int | None = None) -> LatentName | None:
        """What is written about a latent or a category now."""
        return next((e for e in self.entries if e.place == (latent, category)), None)

    def earlier(self, latent: int, category: int | None = None) -> list[LatentName]:
        """What was written about it before, the latest first; an empty entry where nothing was."""
        return [entry for entry in self.replaced if entry.place == (latent, category)]

    def name(self, latent: int, category: int | None = None) -> str:
        """The name of a latent or a category, or ""."""
        entry = self.entry(latent, category)
        return entry.name if entry else ""

    def of_categories(self, latent: int) -> dict[int, str]:
        """The names of the categories of a latent that have one."""
        return {
            entry.category: entry.name
            for entry in self.entries
            if entry.latent == latent and entry.category is not None and entry.name
        }

    def words(self, latent: int, category: int | None = None) -> str:
        """What to call it in a text: "latent 3 · wall hue", "category 4 · red", or without the name
        if it has none."""
        what = f"latent {latent}" if category is None else f"category {category}"
        name = self.name(latent, category)
        return f"{what} · {name}" if name else what

    def short_words(self, latent: int) -> str:
        """What to call a latent on an axis: "3 · wall hue" with the beginning of a long name, or
        "latent 3"."""
        name = self.name(latent)
        if not name:
            return f"latent {latent}"
        return f"{latent} · {name if len(name) <= SHORT_NAME else name[: SHORT_NAME - 1] + '…'}"

    def changed(self, new: Iterable[LatentName]) -> "LatentNames":
        """This with new entries in place of those of the same latents and categories; an entry
        without texts removes one."""
        entries = {entry.place: entry for entry in self.entries}
        replaced = list(self.replaced)
        for entry in new:
            before = entries.get(entry.place) or LatentName(
                latent=entry.latent, category=entry.category, written_at=entry.written_at
            )
            if before.texts == entry.texts:
                continue
            replaced = [
                before,
                *(
                    old
                    for old in replaced
                    if old.place != entry.place or old.texts not in (before.texts, entry.texts)
                ),
            ]
            entries[entry.place] = entry
        kept = [entry for entry in entries.values() if any(entry.texts)]
        kept.sort(key=lambda e: (e.latent, -1 if e.category is None else e.category))
        return LatentNames(entries=tuple(kept), replaced=tuple(replaced[:MAX_REPLACED]))


NO_NAMES = LatentNames()


def latent_names(run: Run) -> LatentNames:
    """The names that people gave to the latents and categories of a run; it may have none.

    Raises:
        RunError: their file is damaged, too large, or names latents that the run does not have.
    """
    path = _readable(run, names_path(run))
    if not path.is_file():
        return LatentNames()
    names = _read(path)
    _check_fits(path, run, names)
    return names


def name_latent(
    run: Run,
    latent: int,
    name: str | None = None,
    note: str | None = None,
    *,
    category: int | None = None,
    written_at: datetime | None = None,
) -> LatentNames:
    """Give a name or a note to a latent, or to one of its categories.

    Other processes may write at the same time: each change is made to what the file then holds.

    Args:
        run: which the names are saved with.
        latent: index of the latent.
        name: one line of at most 80 characters; "" removes it, None leaves it as it is.
        note: at most 2,000 characters; "" removes it, None leaves it as it is.
        category: index of the category to name instead of the latent.
        written_at: time with a time zone; by default now, by the clock of this machine.

    Returns:
        All names of the run.

    Raises:
        ConfigError: a text is too long or has control characters, or there is no such latent or
            category.
        RunError: the file is damaged, which then stays as it is, or another process holds it.
    """
    when = written_at or datetime.now().astimezone().replace(microsecond=0)
    with _writing(run) as draft:
        before = draft.names.entry(latent, category)
        old = before.texts if before else ("", "")
        draft.take(
            _checked(
                run,
                latent=latent,
                category=category,
                name=old[0] if name is None else name,
                note=old[1] if note is None else note,
                written_at=when,
            )
        )
    return draft.names


def name_latents(run: Run, names: Mapping[int, str]) -> LatentNames:
    """Give names to several latents at once, by their index; errors as in `name_latent`."""
    when = datetime.now().astimezone().replace(microsecond=0)
    entries = [_checked(run, latent=i, name=name, written_at=when) for i, name in names.items()]
    with _writing(run) as draft:
        draft.take(*entries)
    return draft.names


def checked_names(names: Iterable[str]) -> tuple[str, ...]:
    """Names of latents as they are saved.

    Raises:
        ConfigError: one is too long or has control characters.
    """
    try:
        return TypeAdapter(tuple[Line, ...]).validate_python(tuple(names))
    except ValidationError as error:
        raise ConfigError(f"name {explain(error)}") from None


def undo_name(run: Run, latent: int, category: int | None = None) -> LatentNames:
    """Put back what was written about a latent or a category before the last change. To undo again
    puts back the change.

    Raises:
        ConfigError: nothing was changed.
        RunError: as in `name_latent`.
    """
    with _writing(run) as draft:
        earlier = draft.names.earlier(latent, category)
        if not earlier:
            what = f"latent {latent}" if category is None else f"category {category} of {latent}"
            raise ConfigError(f"there is no earlier name of {what}: nothing to undo")
        draft.take(earlier[0])
    return draft.names


@dataclass(frozen=True)
class FoundLatent:
    """A latent or a category that a search found.

    Attributes:
        address: of the run, such as "runs/first".
        run: itself.
        entry: the name and the note.
    """

    address: str
    run: Run
    entry: LatentName


def find_latents(
    text: str = "", runs: Iterable[tuple[str, Run]] | None = None
) -> list[FoundLatent]:
    """Latents and categories whose name or note contains a text, in upper or lower case. Damaged
    files are passed over, without errors.

    Args:
        text: to look for; "" finds all that have a name or a note.
        runs: addresses and runs to look in; by default those of `all_runs`.
    """
    wanted = unicodedata.normalize("NFC", text).strip().casefold()
    users = _users_files()
    found = []
    for address, run in all_runs() if runs is None else runs:
        if run.id not in users and not (run.path / NAMES).is_file():
            continue  # without reading any file of the run
        try:
            names = latent_names(run)
        except (CoreError, OSError):
            continue
        found += [
            FoundLatent(address, run, entry)
            for entry in names.entries
            if any(wanted in part.casefold() for part in entry.texts)
        ]
    return found


def names_path(run: Run) -> Path:
    """Where the names of a run are saved: names.json in its folder, or a file in the folder `names`
    of the data folder if the run is shipped or its folder cannot be written.

    Raises:
        RunError: config.json is missing or damaged.
    """
    shipped, own = shipped_place(run), run.path / NAMES
    is_writable = shipped is None and os.access(run.path, os.W_OK)
    if is_writable and run.id not in _users_files():
        return own
    # A run that was trained again has other latents, and its names must not be theirs.
    place = f"{shipped or run.path.resolve()} {run.record.created_at.isoformat()}"
    digest = hashlib.sha256(place.encode()).hexdigest()[:16]
    users = data_folder() / "names" / f"{run.id}-{digest}.json"
    return own if is_writable and not users.is_file() else users


def _readable(run: Run, path: Path) -> Path:
    """The file of the names that are to be saved at a path: until they are, perhaps those that came
    with a run which nobody may write to."""
    return path if path.is_file() else run.path / NAMES


def _users_files() -> set[str]:
    """Ids of the runs that have names in the data folder."""
    try:
        return {name.rpartition("-")[0] for name in os.listdir(data_folder() / "names")}
    except OSError:
        return set()


def _read(path: Path) -> LatentNames:
    if path.stat().st_size > MAX_NAMES_BYTES:
        raise RunError(
            f"{path} has more than {MAX_NAMES_BYTES // 2**20} MB, which names do not need: move it "
            f"away"
        )
    return read_record(path, LatentNames)


def _check_fits(path: Path, run: Run, names: LatentNames) -> None:
    for entry in (*names.entries, *names.replaced):
        if wrong := _misfit(run.record, *entry.place):
            raise RunError(f"{path} is of another run: {wrong}")


def _misfit(record: RunConfig, latent: int, category: int | None) -> str:
    """What a run lacks of a latent or a category, or ""."""
    counts = record.category_counts
    if not 0 <= latent < record.num_latents:
        return f"there is no latent {latent}: the run has {record.num_latents}, numbered from 0"
    if category is None:
        return ""
    if not counts:
        return f"there is no category {category}: {record.latents} latents have no categories"
    if not 0 <= category < counts[latent]:
        return (
            f"there is no category {category}: latent {latent} has {counts[latent]}, numbered "
            f"from 0"
        )
    return ""


def _checked(run: Run, **fields: object) -> LatentName:
    latent, category = fields["latent"], fields.get("category")
    assert isinstance(latent, int)
    assert category is None or isinstance(category, int)
    if wrong := _misfit(run.record, latent, category):
        raise ConfigError(wrong)
    try:
        return LatentName.model_validate(fields)
    except ValidationError as error:
        raise ConfigError(explain(error)) from None


class _Draft:
    """The names in a file, while they are changed."""

    def __init__(self, names: LatentNames) -> None:
        self.names = names

    def take(self, *entries: LatentName) -> None:
        """Replace entries.

        Raises:
            ConfigError: the run has too many.
        """
        try:
            self.names = self.names.changed(entries)
        except ValidationError:
            raise ConfigError(
                f"a run has at most {MAX_ENTRIES:,} names: remove some that you do not need"
            ) from None


@contextmanager
def _writing(run: Run) -> Iterator[_Draft]:
    path = names_path(run)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path.with_name(f".{path.stem}.lock"), timeout=_LOCK_SECONDS):
            known = _readable(run, path)
            before = _read(known) if known.is_file() else LatentNames()
            _check_fits(known, run, before)
            draft = _Draft(before)
            yield draft
            if draft.names == before:
                return
            content = draft.names.model_dump_json(indent=1) + "\n"
            if len(content.encode()) > MAX_NAMES_BYTES:
                raise ConfigError(
                    f"the names and notes of a run have at most {MAX_NAMES_BYTES // 2**20} MB: "
                    f"shorten some notes"
                )
            write_atomically(path, content)
    except Timeout:
        raise RunError(
            f"{path} is held by another process: try again when it has finished"
        ) from None
