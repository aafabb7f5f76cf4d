"""The help: it answers without the libraries that take long to import."""

import subprocess
import sys

import pytest

from dvae_core.__main__ import main
from dvae_core.commands import COMMANDS

SLOW_TO_IMPORT = ("torch", "numpy", "streamlit", "sklearn", "scipy", "pandas", "plotly", "onnx")


def test_no_help_imports_a_library_that_takes_long() -> None:
    program = (
        "import sys\n"
        "from contextlib import suppress\n"
        "from dvae_core.__main__ import main\n"
        "from dvae_core.commands import COMMANDS\n"
        "for arguments in ([], *([name] for name in COMMANDS)):\n"
        "    with suppress(SystemExit):\n"
        "        main([*arguments, '--help'])\n"
        f"print('imported:', *({{*{SLOW_TO_IMPORT!r}}} & set(sys.modules)))\n"
    )
    command = [sys.executable, "-c", program]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert said.splitlines()[-1].strip() == "imported:"
    assert said.count("usage:") == 1 + len(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_and_each_of_its_flags_is_described(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main([name, "--help"])
    assert stop.value.code == 0
    said = " ".join(capsys.readouterr().out.split())
    assert (COMMANDS[name].__doc__ or "").split("\n")[0].rstrip(".")[:40] in said
    assert "--json" in said
