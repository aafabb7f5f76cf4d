"""The command line: `python -m dvae_core COMMAND`.

An error is one line on stderr and an exit status: 2 for a wrong argument or an unreadable file, 1
for a training that diverged, 130 for an interruption.
"""

import contextlib
import io
import os
import re
import sys
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import tyro

from dvae_core.commands import COMMANDS
from dvae_core.commands.command import Command
from dvae_core.commands.output import say
from dvae_core.commands.training import Estimate, Train
from dvae_core.config import RunConfig, check_preset_has_data
from dvae_core.errors import ConfigError, CoreError, TrainingError
from dvae_core.system.environment import safe_environment
from dvae_core.system.processes import INTERRUPTED

_UNREAD = 141  # what shells report of a process that SIGPIPE ended

# What tyro says of a text in place of a number.
_NO_NUMBER = re.compile(r"Error parsing (\S+): (?:invalid literal|could not convert).*: ('.*')")


def program() -> int:
    """`main` as a process of its own, which decides what concerns a whole process."""
    os.environ.update(safe_environment())  # for what libraries start, such as workers of joblib
    # Two metrics fit classifiers that need not converge (see there).
    for message in ("lbfgs failed to converge", "newton-cg failed to converge", "Line Search fail"):
        warnings.filterwarnings("ignore", message)
    try:
        try:
            return main()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # At its end, Python would flush again and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _UNREAD


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status."""
    try:
        return _parse(sys.argv[1:] if arguments is None else arguments).run()
    except TrainingError as error:
        return _complain(error, 1)
    except CoreError as error:
        return _complain(error, 2)
    except BrokenPipeError:  # of the output: pipes to children are watched where they are written
        raise
    except OSError as error:
        return _complain(f"{error.filename or 'a file'}: {error.strerror or error}", 2)
    except KeyboardInterrupt:
        return _complain("interrupted", INTERRUPTED)


def _parse(arguments: list[str]) -> Command:
    name = _preset_of(arguments)
    preset = RunConfig.from_preset(name)
    if not {"-h", "--help"}.intersection(arguments):
        flags = {argument.partition("=")[0].removeprefix("--") for argument in arguments}
        check_preset_has_data(name, flags)
    commands: dict[str, Callable[..., Command]] = {
        **COMMANDS,
        "train": partial(Train, config=preset),
        "estimate": partial(Estimate, config=preset),
    }
    output, complaint = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(complaint):
            return tyro.extras.subcommand_cli_from_dict(
                commands,
                prog="dvae" if Path(sys.argv[0]).stem == "dvae" else "python -m dvae_core",
                description="Variational autoencoders with ordered categorical latents.",
                args=arguments,
                config=(tyro.conf.OmitArgPrefixes,),
            )
    except SystemExit as stop:
        if not stop.code:  # --help
            print(output.getvalue(), end="")
            raise
        raise ConfigError(_in_one_line(complaint.getvalue())) from None


def _preset_of(arguments: list[str]) -> str | None:
    for i, argument in enumerate(arguments):
        if argument == "--preset":
            return arguments[i + 1] if i + 1 < len(arguments) else None
        if argument.startswith("--preset="):
            return argument.removeprefix("--preset=")
    return None


def _in_one_line(box: str) -> str:
    # tyro prints a box: a title, a rule, the error, a rule, suggestions.
    lines = [line.strip("╭╮╰╯│─- ") for line in box.splitlines()]
    body = "\n".join(lines).strip("\n").partition("\n\n")[2].lstrip("\n")
    message = " ".join(body.partition("\n\n")[0].split())
    if wrong := _NO_NUMBER.search(message):
        return f"{wrong[1]} is {wrong[2]}: give a number"
    return f"{message.rstrip('.') or 'the arguments are wrong'}: see --help"


def _complain(what: object, status: int) -> int:
    say(f"error: {what}", sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(program())
