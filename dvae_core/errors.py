"""The errors that this package raises on purpose.

Each message is one line: what was found, what was expected, what to do. The command line prints it
and exits with status 2; the app shows it in place of what failed.
"""

import re


class CoreError(Exception):
    """Base class of all errors that the user can act on."""


class ConfigError(CoreError):
    """A setting is unknown, out of range, or contradicts another setting."""


class DataError(CoreError):
    """A data set is unknown or missing, or its file is invalid."""


class RunError(CoreError):
    """A run folder is missing, incomplete, damaged, or not a run."""


class TrainingError(CoreError):
    """A training diverged."""


class EvaluationError(CoreError):
    """A score is undefined for the given model or data set."""


class ModelError(CoreError):
    """An imported model is not supported, or lacks the part that is needed."""


def printable(text: object, limit: int | None = 60) -> str:
    """`text` as one line of at most `limit` characters, without control characters."""
    line = "".join(c if c.isprintable() else "?" for c in str(text))
    return line if limit is None or len(line) <= limit else line[: limit - 1] + "…"


UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that change what stands beside them, or that no file can hold: control characters,
separators of lines, marks that reverse the direction of writing, and halves of surrogate pairs."""


def one_line(text: str) -> str:
    """`text` with a space in place of each `UNSAFE` character. Unlike `printable`, it keeps all
    others, such as the invisible joiners of some scripts."""
    return UNSAFE.sub(" ", text)
