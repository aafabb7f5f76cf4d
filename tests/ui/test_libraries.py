from importlib import metadata
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from ui import libraries

PAGE = Path(libraries.__file__).with_name("missing.py")


def test_nothing_is_missing_here_and_every_requirement_is_looked_at() -> None:
    assert libraries.missing_libraries() == []
    assert {"torch", "plotly", "lazy-loader"} <= set(libraries.required_libraries())


def test_an_installed_package_names_its_own_requirements(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(libraries, "REQUIREMENTS", tmp_path / "none.txt")
    lines = ["torch==2.13.*", "no-such-library>=1", 'ray>=2; extra == "ray"']
    monkeypatch.setattr(metadata, "requires", lambda name: lines)
    assert libraries.required_libraries() == ["torch", "no-such-library"]
    assert libraries.missing_libraries() == ["no-such-library"]


def test_the_page_names_what_is_missing_and_the_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    required = tmp_path / "requirements.txt"
    required.write_text("torch\n# a comment\nno-such-library>=1\n")
    monkeypatch.setattr(libraries, "REQUIREMENTS", required)
    page = AppTest.from_file(str(PAGE)).run()
    assert not page.exception
    assert page.error[0].value == "no-such-library is not installed."
    assert page.code[0].value == f"pip install -r {required}"
