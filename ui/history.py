"""The buttons that take moves back and repeat them."""

from collections.abc import Sequence

import streamlit as st

from ui.selection import Exploration, new_move, redo, undo


def show_history(explorations: Sequence[Exploration]) -> None:
    """Undo, redo and the way back to the start, of explorations that move together.

    Call it inside a fragment: an undo draws the whole page again, since the side bar shows the
    start, which may have changed.
    """
    steps = {
        "undo": ("Undo", "mod+z", undo, [each.last_move for each in explorations]),
        "redo": ("Redo", "mod+shift+z", redo, [each.next_move for each in explorations]),
    }
    changed = [
        st.button(
            label,
            icon=f":material/{name}:",
            shortcut=shortcut,
            disabled=not any(moves),
            on_click=change,
            args=(explorations,),
            key=name,
        )
        for name, (label, shortcut, change, moves) in steps.items()
    ]
    st.button(
        "Back to the start",
        icon=":material/restart_alt:",
        disabled=all(each.code is None for each in explorations),
        on_click=_restart,
        args=(explorations,),
    )
    # A button has one shortcut; many people redo with Ctrl+Y.
    with st.container(key="shortcuts"):
        label, _, change, moves = steps["redo"]
        changed.append(
            st.button(
                label,
                shortcut="mod+y",
                disabled=not any(moves),
                on_click=change,
                args=(explorations,),
                key="redo-y",
            )
        )
    if any(changed):
        st.rerun()


def _restart(explorations: Sequence[Exploration]) -> None:
    together = new_move()
    for each in explorations:
        each.move(None, together)
