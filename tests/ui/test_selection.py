import pytest

from ui.selection import MAX_HISTORY, Exploration, Start, new_move, redo, undo


@pytest.mark.parametrize(
    "start",
    [
        Start("factors", (3, 17)),
        Start("image", (5,)),
        Start("prior", (0,)),
        Start("factors", (7,), 12),
        Start("upload", upload="0123456789abcdef"),
    ],
)
def test_a_start_survives_its_text(start: Start) -> None:
    assert Start.from_text(start.to_text()) == start


@pytest.mark.parametrize(
    "text",
    [
        "",
        "factors",
        "factors-",
        "factors-a",
        "factors--1",
        "factors-1.",
        "image-1.2",
        "upload",
        "upload-",
        "upload-../../../../etc/p",
        "upload-0123456789ABCDEF",
        "prior",
        "prior-¹",
        "x-1",
        "factors-" + ".".join(["1"] * 65),
    ],
)
def test_a_text_that_is_no_start_is_none(text: str) -> None:
    assert Start.from_text(text) is None


def test_undo_goes_back_through_codes_and_starts_and_redo_forward() -> None:
    exploration = Exploration("runs/a", Start("prior", (0,)))
    exploration.move((1.0, 2.0))
    exploration.move((1.0, 3.0))
    exploration.begin(Start("prior", (1,)))
    states = [(Start("prior", (0,)), None), (Start("prior", (0,)), (1.0, 2.0))]
    states += [(Start("prior", (0,)), (1.0, 3.0)), (Start("prior", (1,)), None)]
    for start, code in reversed(states[:-1]):
        undo([exploration])
        assert (exploration.start, exploration.code) == (start, code)
    undo([exploration])  # there is nothing left
    for start, code in states[1:]:
        redo([exploration])
        assert (exploration.start, exploration.code) == (start, code)
    redo([exploration])
    assert exploration.start == Start("prior", (1,))


def test_a_new_move_forgets_what_was_undone() -> None:
    exploration = Exploration("runs/a", Start("prior", (0,)))
    exploration.move((1.0,))
    undo([exploration])
    exploration.move((2.0,))
    redo([exploration])
    assert exploration.code == (2.0,)


def test_undo_brings_back_what_snapping_changed() -> None:
    exploration = Exploration("runs/a", Start("prior", (0,)))
    exploration.move((1.0,))
    exploration.snap(True, (2.0,))
    undo([exploration])
    assert (exploration.code, exploration.hard) == ((1.0,), False)


def test_two_explorations_undo_together_what_they_moved_together() -> None:
    left, right = Exploration("runs/a"), Exploration("runs/b")
    right.move((9.0,))  # before they stood side by side
    together = new_move()
    left.move((1.0,), together)
    right.move((2.0,), together)
    left.move((3.0,))
    undo([left, right])
    assert (left.code, right.code) == ((1.0,), (2.0,))
    undo([left, right])
    assert (left.code, right.code) == (None, (9.0,))
    redo([left, right])
    assert (left.code, right.code) == ((1.0,), (2.0,))
    redo([left, right])
    assert (left.code, right.code) == ((3.0,), (2.0,))


def test_the_history_is_bounded() -> None:
    exploration = Exploration("runs/a", Start("prior", (0,)))
    for step in range(2 * MAX_HISTORY):
        exploration.move((float(step),))
    for _ in range(2 * MAX_HISTORY):
        undo([exploration])
    assert exploration.code == (float(MAX_HISTORY - 1),)
