"""Moves of two images in one model, which are undone together."""

from ui.explore.second_image import move, swap, take_over
from ui.latent_board import BoardEvent
from ui.selection import Exploration, Start, redo, undo

CODES = ((1.0, 2.0, 3.0), (4.0, 5.0, 6.0))
A, B = Start("prior", (1,)), Start("prior", (2,))


def pair() -> tuple[Exploration, Exploration]:
    return Exploration("run", A), Exploration("run", B)


def test_linked_boards_set_a_latent_to_the_same_value_and_undo_together() -> None:
    both = first, second = pair()
    move(both, CODES, 0, True, BoardEvent((1,), (1.0, 9.0, 3.0), 1))
    assert (first.code, second.code) == ((1, 9, 3), (4, 9, 6))
    undo(both)
    assert (first.code, second.code) == (None, None)
    redo(both)
    assert (first.code, second.code) == ((1, 9, 3), (4, 9, 6))
    move(both, (CODES[0], (4.0, 9.0, 6.0)), 1, True, BoardEvent((2,), (4.0, 9.0, 7.0), 2))
    assert (first.code, second.code) == ((1, 2, 7), (4, 9, 7))


def test_boards_that_are_not_linked_move_alone() -> None:
    both = first, second = pair()
    move(both, CODES, 1, False, BoardEvent((0,), (8.0, 5.0, 6.0), 1))
    assert (first.code, second.code) == (None, (8, 5, 6))


def test_a_board_whose_latent_has_the_value_already_makes_no_move() -> None:
    both = first, second = pair()
    move(both, CODES, 0, True, BoardEvent((0,), (4.0, 2.0, 3.0), 1))
    assert first.last_move
    assert not second.last_move


def test_a_latent_of_b_is_taken_over_into_a_alone() -> None:
    both = first, second = pair()
    take_over(both, CODES, 2)
    assert (first.code, second.code) == ((1, 2, 6), None)


def test_a_swap_exchanges_starts_and_codes_and_is_one_move() -> None:
    both = first, second = pair()
    second.code = CODES[1]
    swap(both)
    assert (first.start, first.code) == (B, CODES[1])
    assert (second.start, second.code) == (A, None)
    undo(both)
    assert (first.start, first.code, second.start, second.code) == (A, None, B, CODES[1])
