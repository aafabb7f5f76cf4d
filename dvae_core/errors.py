"""The errors that this package raises on purpose.

Each message is one line: what was found, what was expected, what to do. The command line prints it
and exits with status 2; the app shows it in place of what failed.
"""


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
