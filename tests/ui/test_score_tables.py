import pytest

from ui.score_tables import _verdict


@pytest.mark.parametrize(
    ("difference", "spread", "better", "reading"),
    [
        (0.3, None, "higher", "too few seeds"),
        (0.3, 0.4, "higher", "within the spread"),
        (-0.4, 0.4, "higher", "within the spread"),
        (0.5, 0.4, "higher", "right is ahead"),
        (-0.5, 0.4, "higher", "left is ahead"),
        (0.5, 0.4, "lower", "left is ahead"),
        (0.5, 0.4, "", "beyond the spread"),
        (None, 0.4, "higher", ""),
    ],
)
def test_a_run_is_ahead_only_beyond_the_spread_of_seeds(
    difference: float | None, spread: float | None, better: str, reading: str
) -> None:
    assert _verdict(difference, spread, better) == reading
