"""Write the tables of objectives, families and settings in the documents.

python -m benchmarks.config_tables
"""

from collections.abc import Iterable, Iterator
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from benchmarks.tables import REPOSITORY, markdown, replace_table
from dvae_core.config import FAMILIES, OBJECTIVES, RunConfig, limits_of
from dvae_core.objectives import build_objective

Rows = Iterator[tuple[str, ...]]


def objectives() -> Rows:
    """Each objective with its loss and the terms that it logs to metrics.jsonl."""
    yield "`--objective`", "loss", "description", "settings", "studied", "logged terms"
    for name, info in OBJECTIVES.items():
        yield (
            f"`{name}`",
            f"${info.loss}$",
            f"{info.label} ({info.source}). {info.explanation}",
            _code(info.settings),
            ", ".join(f"{value:g}" for value in info.studied),
            _code(build_objective(RunConfig(objective=name)).term_names),
        )


def families() -> Rows:
    """Each family with the settings that apply only to it."""
    yield "`--latents`", "description", "settings only for it"
    for name, info in FAMILIES.items():
        explanation = f"{info.label} ({info.source}). {info.explanation}"
        yield f"`{name}`", explanation, _code(info.settings)


def settings() -> Rows:
    """Each setting with its default and range."""
    yield "setting", "default", "values", "what it does"
    for name, field in RunConfig.model_fields.items():
        default = "all cores" if name == "threads" else _shown(field.default)
        yield f"`{name}`", default, _values(name, field.annotation), field.description or ""


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _shown(value: Any) -> str:
    match value:
        case None | ():
            return "none"
        case bool():
            return "on" if value else "off"
        case str():
            return value
        case _:
            return f"{value:,.10g}"


def _values(name: str, kind: Any) -> str:
    if limits := limits_of(name):
        text = f"{limits[0]:,g} to {limits[1]:,.10g}"
        return f"{text}, or none" if NoneType in get_args(kind) else text
    if get_origin(kind) is Literal:
        return ", ".join(map(str, get_args(kind)))
    return {bool: "on, off", str: "a name"}.get(kind, "numbers")


DOCUMENTS = {
    "objectives": (REPOSITORY / "docs" / "method.md", objectives),
    "families": (REPOSITORY / "docs" / "method.md", families),
    "settings": (REPOSITORY / "docs" / "sweeps.md", settings),
}
"""The document of each table, and the function that makes its rows."""


def main() -> None:
    for name, (document, rows) in DOCUMENTS.items():
        replace_table(document, name, markdown(rows()))


if __name__ == "__main__":
    main()
