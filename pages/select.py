"""Many runs of one folder: which is best, and could one have told without labels?"""

import streamlit as st

from ui.errors import errors_shown
from ui.select.choice import MIN_RUNS, choose_study, show_how_to_make_a_study
from ui.select.convergence import show_training_curves
from ui.select.gap import show_gap
from ui.select.runs import show_groups, show_opening, show_runs
from ui.select.settings import show_settings
from ui.titles import show_title

show_title(
    "Select",
    "Many runs of one folder: which is best, and could the straight-through gap have found it "
    "without labels?",
)
choice = choose_study()
if choice is None:
    st.stop()
with errors_shown():
    count, counted = len(choice.study.runs), len(choice.study.counted)
    runs = (
        f"{count} runs"
        if count == choice.total
        else f"The filter keeps {count} of {choice.total} runs"
    )
    st.caption(f"{runs}, {counted} in the statistics, protocol {choice.study.protocol}.")
    if choice.view == "runs":
        show_opening(choice)
        show_runs(choice)
    if choice.view == "course":
        show_training_curves(choice)
    elif choice.score:
        match choice.view:
            case "runs":
                show_groups(choice)
            case "gap":
                show_gap(choice)
            case "settings":
                show_settings(choice)
    if counted < MIN_RUNS:
        show_how_to_make_a_study("Too few evaluated runs to compare")
