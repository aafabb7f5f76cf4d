from pathlib import Path

import pytest

from dvae_core.errors import RunError
from dvae_core.runs.row_log import RowLog, RowTail


@pytest.fixture
def log(tmp_path: Path) -> RowLog:
    return RowLog(tmp_path / "rows.jsonl")


def append(log: RowLog, *steps: int, loss: float = 1.0) -> None:
    for step in steps:
        log.append({"step": step, "loss": loss})


def steps(rows: list[dict[str, float]]) -> list[float]:
    return [row["step"] for row in rows]


def test_a_file_that_is_not_there_has_no_rows(log: RowLog) -> None:
    assert log.read() == []
    log.truncate(10)
    log.sync()
    assert not log.path.exists()


def test_a_line_still_being_written_is_left_for_later(log: RowLog) -> None:
    append(log, 1)
    tail = RowTail(log)
    with open(log.path, "a") as file:
        file.write('{"step": ')
    assert log.read() == [{"step": 1, "loss": 1.0}]
    assert tail.update()
    assert steps(tail.rows) == [1]
    with open(log.path, "a") as file:
        file.write("2}\n")
    assert tail.update()
    assert steps(tail.rows) == [1, 2]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("x", "has a line that is not JSON"),
        ("[" * 100_000, "has a line that is not JSON"),
        ("[1]", "row 2 is not an object of numbers with a step"),
        ('{"loss": 1}', "row 2 is not an object of numbers with a step"),
        ('{"step": 2, "loss": "1"}', "row 2 is not an object of numbers with a step"),
        ('{"step": true}', "row 2 is not an object of numbers with a step"),
    ],
)
def test_a_damaged_line_is_said(log: RowLog, line: str, message: str) -> None:
    append(log, 1)
    with open(log.path, "a") as file:
        file.write(line + "\n")
    with pytest.raises(RunError, match=message):
        log.read()
    with pytest.raises(RunError, match=message):
        RowTail(log).update()


def test_truncating_drops_what_came_after_and_half_a_line(log: RowLog) -> None:
    append(log, 1, 2, 3, 4)
    kept = b"".join(log.path.read_bytes().splitlines(keepends=True)[:3])
    with open(log.path, "a") as file:
        file.write('{"step": 5, "lo')
    log.truncate(3)
    assert log.path.read_bytes() == kept
    append(log, 4)
    assert steps(log.read()) == [1, 2, 3, 4]


def test_half_of_the_first_line_is_dropped_too(log: RowLog) -> None:
    log.path.write_text('{"step": 1')
    log.truncate(10)
    append(log, 1)
    assert steps(log.read()) == [1]


def test_a_tail_reads_only_what_is_new(log: RowLog, monkeypatch: pytest.MonkeyPatch) -> None:
    append(log, *range(1, 101))
    tail = RowTail(log)
    tail.update()
    parsed: list[bytes] = []
    parse = RowLog._parse

    def counting(
        self: RowLog, lines: bytes, before: list[dict[str, float]]
    ) -> list[dict[str, float]]:
        parsed.append(lines)
        return parse(self, lines, before)

    monkeypatch.setattr(RowLog, "_parse", counting)
    append(log, 101)
    assert tail.update()
    assert len(tail.rows) == 101
    assert b"".join(parsed).count(b"\n") == 1
    assert not tail.update()


@pytest.mark.parametrize("rewritten", [range(3, 3), range(3, 5), range(3, 6), range(3, 9)])
def test_a_tail_reads_anew_what_a_resumed_training_cut_back(log: RowLog, rewritten: range) -> None:
    append(log, 1, 2, 3, 4, 5)
    tail = RowTail(log)
    tail.update()
    log.truncate(2)
    append(log, *rewritten, loss=2.0)  # of the same length, shorter and longer than before
    assert tail.update()
    assert tail.rows == log.read()
    assert not tail.update()


def test_a_tail_notices_that_the_file_went(log: RowLog) -> None:
    append(log, 1)
    tail = RowTail(log)
    tail.update()
    log.path.unlink()
    assert tail.update()
    assert tail.rows == []
    append(log, 7)
    assert tail.update()
    assert steps(tail.rows) == [7]
