import csv
import io

import pytest

from dvae_core.selection.tables import Sheet

SHEET = Sheet(
    "runs",
    "50 % of the runs.",
    ("run", "K", "MIG"),
    (("a_1", 4, 0.123456789), ("b,2", None, -1e-5)),
)


def test_csv_gives_every_number_back() -> None:
    rows = list(csv.reader(io.StringIO(SHEET.to_csv())))
    assert rows == [["run", "K", "MIG"], ["a_1", "4", "0.123456789"], ["b,2", "", "-1e-05"]]


def test_latex_is_a_booktabs_table() -> None:
    assert SHEET.to_latex().splitlines() == [
        r"\begin{table}",
        r"\centering",
        r"\caption{50 \% of the runs.}",
        r"\begin{tabular}{lrr}",
        r"\toprule",
        r"run & K & MIG \\",
        r"\midrule",
        r"a\_1 & 4 & 0.1235 \\",
        r"b,2 & -- & \(-\)1e-05 \\",
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        (r"\input{/etc/passwd}", r"\textbackslash input\{/etc/passwd\}"),
        ("a~b^c#d$e%f_g&h", r"a\textasciitilde b\textasciicircum c\#d\$e\%f\_g\&h"),
    ],
)
def test_what_latex_would_obey_is_printed_instead(text: str, escaped: str) -> None:
    for sheet in (Sheet("a", "", (text,), ()), Sheet("a", "", ("head",), ((text,),))):
        assert rf"{escaped} \\" in sheet.to_latex().splitlines()


def test_text_for_a_terminal_is_in_columns() -> None:
    assert SHEET.to_text().splitlines() == [
        "run  K  MIG",
        "a_1  4  0.1235",
        "b,2  -  -1e-05",
    ]


def test_records_are_named_by_the_head() -> None:
    assert SHEET.to_records()[0] == {"run": "a_1", "K": 4, "MIG": 0.123456789}
