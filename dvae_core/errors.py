"""The errors this package raises on purpose.

Each message is one line that tells what was found, what was expected and what to do. The command
line prints it and exits with status 2; the application shows it in place of what failed.
"""


class CoreError(Exception):
    """Base of every error that a person can act on."""


class ConfigError(CoreError):
    """A setting is unknown, out of range, or does not go with another one."""


class DataError(CoreError):
    """A data set is unknown, missing, or its file is not what it claims to be."""


class RunError(CoreError):
    """A run folder is missing, incomplete, foreign or damaged."""


class TrainingError(CoreError):
    """A training ended because of its numbers, not because of a person."""


class EvaluationError(CoreError):
    """A score is not defined for what it was asked of."""


class ModelError(CoreError):
    """A model from elsewhere is not what is read here, or lacks the part that was asked for."""


def printable(text: object, limit: int = 60) -> str:
    """One line of at most `limit` characters, with nothing in it that could steer a terminal."""
    line = "".join(c if c.isprintable() else "?" for c in str(text))
    return line if len(line) <= limit else line[: limit - 1] + "…"
