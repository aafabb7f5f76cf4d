"""The watched run: its progress, its pictures and curves, refreshed while it trains."""

import streamlit as st

from dvae_core.config import FAMILIES
from dvae_core.jobs import RunOverview, find_training
from dvae_core.runs.row_log import Row
from dvae_core.runs.run import Run, State
from dvae_core.training.estimate import duration_in_words
from ui.errors import errors_shown, plain
from ui.run_picker import describe
from ui.train.curves import read_on, show_curves
from ui.train.runs_table import ACTIVE, REFRESH_SECONDS, in_words
from ui.train.snapshots import show_snapshots


def show_live(address: str, entry: RunOverview, compared: dict[str, Run]) -> None:
    """A run in words, pictures and curves; it is looked at again while it trains or waits."""
    every = REFRESH_SECONDS if entry.state in ACTIVE else None
    drawn = entry.state, entry.run.has_model
    st.fragment(run_every=every)(_show)(address, entry.run, drawn, compared)


def _show(address: str, run: Run, drawn: tuple[State, bool], compared: dict[str, Run]) -> None:
    with errors_shown():
        entry = find_training(run)
        if (entry.state, run.has_model) != drawn:
            st.rerun(scope="app")  # the buttons above depend on both
        runs = {entry.name: run} | {describe(other): run for other, run in compared.items()}
        tails = read_on(list(runs.values()))
        _show_progress(entry, tails[0].metrics.rows[-1:])
        if run.record.imported is not None:
            st.caption("Imported model: no training history.")
            return
        _show_collapse(entry, tails[0].scores.rows[-1:])
        show_snapshots(address, run, tails[0].scores.rows)
        show_curves(runs, tails)


def _show_progress(entry: RunOverview, last: list[Row]) -> None:
    parts = [in_words(entry)]
    if entry.steps:
        parts.append(f"step {entry.step:,} of {entry.steps:,}")
    if entry.seconds_left is not None:
        parts.append(f"about {duration_in_words(entry.seconds_left)} left")
    if entry.seconds:
        parts.append(f"trained for {duration_in_words(entry.seconds)}")
    if last:
        parts += _last_words(entry, last[0])
    st.progress(entry.fraction, plain(" · ".join(parts)))
    if entry.message:
        st.warning(plain(entry.message), icon=":material/warning:")


def _show_collapse(entry: RunOverview, last: list[Row]) -> None:
    """Say that all images have one code, and what helps; in the first half of a training it is
    common and often passes."""
    if not last or last[0].get("active_latents") != 0 or last[0]["step"] < entry.steps / 2:
        return
    family = FAMILIES[entry.run.record.latents]
    if "encoder_delay" in family.settings:
        advice = (
            "Train again with a longer encoder delay: the encoder's scalars can grow until the "
            "gradient of the tanh vanishes, and all images then keep one code."
        )
    else:
        advice = "Train again with lower weights of the objective, or another step size."
    st.warning(
        f"At step {last[0]['step']:,.0f} no latent is active: all images have the same code, so "
        f"all reconstructions are alike. {advice}",
        icon=":material/warning:",
    )


def _last_words(entry: RunOverview, row: Row) -> list[str]:
    words = []
    if entry.images_per_second is not None:
        words.append(f"{entry.images_per_second:,.0f} images per second")
    if device := entry.run.status().device:
        words.append(device)
    if "memory_mb" in row:
        words.append(f"{row['memory_mb']:,.0f} MB in use")
    return words
