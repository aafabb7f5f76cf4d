import ast
from pathlib import Path

import pandas as pd
import pytest

from dvae_core.system.spreadsheet import guarded, to_csv

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1"])
def test_a_text_that_a_spreadsheet_would_take_for_a_formula_is_guarded(text: str) -> None:
    assert guarded(text) == f"'{text}"


@pytest.mark.parametrize("cell", ["x=1", "", -1, -0.5, None])
def test_other_cells_stay_as_they_are(cell: object) -> None:
    assert guarded(cell) is cell


def test_a_table_is_guarded_and_keeps_its_numbers() -> None:
    table = pd.DataFrame([["=1", 3, 0.1], ["a,b", None, -1e-5]], columns=["+a", "b", "c"])
    table["b"] = pd.Series([3, None], dtype=object)
    text = to_csv(table, index_label="row")
    assert text == "row,'+a,b,c\n0,'=1,3,0.1\n1,\"a,b\",,-1e-05\n"


def test_only_guarded_tables_are_exported() -> None:
    writers = set()
    for folder in ("dvae_core", "ui", "pages"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                    of = ast.unparse(node.func.value)
                    if node.func.attr in ("to_csv", "writer") and of != "sheet":
                        writers.add(path.relative_to(ROOT).as_posix())
    assert writers == {
        "dvae_core/system/spreadsheet.py",
        "dvae_core/analysis/image_table.py",  # numbers, under a guarded head
        "dvae_core/data/imported/unpacked.py",  # labels for the reader of images
    }
