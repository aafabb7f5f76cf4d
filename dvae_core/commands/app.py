"""The command `app`."""

import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tyro.conf import UseAppendAction

from dvae_core.commands.command import Command, check_range
from dvae_core.errors import ConfigError, printable
from dvae_core.system.environment import safe_environment
from dvae_core.system.processes import INTERRUPTED, interruptions
from dvae_core.system.shipped import app_folder


@dataclass(frozen=True)
class App(Command):
    """Open the app in the browser, from any folder; Ctrl+C stops it.

    Attributes:
        port: port to serve on; default: 8501, or the next free port
        runs: folder of your own runs; default: DVAE_RUNS, or the folder "runs" in this folder
        data: folder of data sets; default: DVAE_DATA, or the folder "data" in this folder
        base_path: path below which a reverse proxy serves the app, such as lab/dvae
        allow_host: name in the address bar behind a reverse proxy; repeat it for several
    """

    port: int | None = None
    runs: Path | None = None
    data: Path | None = None
    base_path: str | None = None
    allow_host: UseAppendAction[tuple[str, ...]] = ()

    def run(self) -> int:
        """Serve the app until it ends; the exit status is 130 after Ctrl+C."""
        if find_spec("streamlit") is None:
            raise ConfigError("streamlit is not installed: pip install streamlit")
        check_range("--port", self.port, 1, 65535)
        for flag, folder in (("--runs", self.runs), ("--data", self.data)):
            if folder is not None and folder.exists() and not folder.is_dir():
                raise ConfigError(f"{flag} is {folder}, which is a file: give a folder instead")
        for host in self.allow_host:
            if not re.fullmatch(r"(\*\.)?[\w.-]+", host):
                raise ConfigError(
                    f"--allow-host is {printable(host)!r}: give the name of a host, such as "
                    "hub.example.org, without http:// and without a port"
                )
        command = [sys.executable, "-m", "streamlit", "run", str(app_folder() / "app.py")]
        status = _serve([*command, *self._options()], self._environment())
        self.print_json({"status": status})
        return status

    def _options(self) -> Iterator[str]:
        """The settings of config.toml as flags; environment variables would override the file."""
        settings = tomllib.loads((app_folder() / ".streamlit" / "config.toml").read_text())
        yield from _flags(settings)
        for host in self.allow_host:  # besides those of config.toml
            yield f"--server.allowedHosts={host}"
        if self.base_path is not None:
            yield f"--server.baseUrlPath={self.base_path.strip('/')}"
        if self.port is not None:
            yield f"--server.port={self.port}"

    def _environment(self) -> dict[str, str]:
        folders = {"DVAE_RUNS": self.runs, "DVAE_DATA": self.data}
        return safe_environment() | {
            name: str(folder) for name, folder in folders.items() if folder
        }


def _flags(settings: Mapping[str, Any], section: str = "") -> Iterator[str]:
    """`--section.name=value` for each setting, and for each value of a list."""
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _flags(value, f"{section}{name}.")
            continue
        # An empty list is a flag without a value, or the default of Streamlit would stand.
        for one in (value or [""]) if isinstance(value, list) else [value]:
            yield f"--{section}{name}={one}"


def _serve(command: list[str], environment: dict[str, str]) -> int:
    with interruptions() as interrupted, subprocess.Popen(command, env=environment) as server:
        while server.poll() is None and not interrupted:
            time.sleep(0.1)
        if interrupted:
            server.terminate()
    return INTERRUPTED if interrupted else server.returncode
