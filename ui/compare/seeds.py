"""Several seeds of each side's settings: three of each in one picture, and the spread of their
scores."""

from collections.abc import Mapping, Sequence

import streamlit as st

from dvae_core.analysis.axis_angles import FactorGrid
from dvae_core.data.dataset import Dataset
from dvae_core.evaluation.catalog import MEANINGS
from dvae_core.evaluation.results import ProtocolName
from dvae_core.figures.compare import seed_boxes
from dvae_core.runs.catalog import usable_runs
from dvae_core.runs.run import Run
from dvae_core.selection.seeds import SeedScores, same_but_seed
from ui.cached import st_encode_points, st_load_model
from ui.charts import NO_TOOLBAR
from ui.compare.comparison import Side
from ui.compare.planes import plane_panel, show_panels
from ui.errors import plain

MIN_SEEDS = 3


Groups = dict[str, list[Run]]


def seed_folders(sides: Sequence[Side]) -> dict[str, Groups]:
    """Folders that hold several seeds of both sides' settings, by their name: the runs of each
    side, by its name."""
    folders: dict[str, list[Run]] = {}
    for address, run in usable_runs():
        folders.setdefault(address.rpartition("/")[0], []).append(run)
    groups = {
        folder: {side.name: same_but_seed(side.run, runs) for side in sides}
        for folder, runs in folders.items()
    }
    return {
        folder: of_sides
        for folder, of_sides in groups.items()
        if all(len(runs) >= MIN_SEEDS for runs in of_sides.values())
    }


def choose_folder(folders: Mapping[str, Groups]) -> str | None:
    """One of the folders with seeds; None, and a word on how to get one, where there is none."""
    if not folders:
        st.caption(
            "No folder holds three or more runs with the settings of each of these two, apart from "
            "the seed, so the spread between seeds is unknown."
        )
        return None
    names = list(folders)
    if len(names) == 1:
        return names[0]
    return st.selectbox("Folder of runs", names, key="seeds-folder", width=320)


def show_seeds(
    name: str, scores: SeedScores, dataset: Dataset, grid: FactorGrid | None, protocol: ProtocolName
) -> None:
    """Worst, median and best by MIG of each side's settings, and the distribution of every
    metric."""
    groups = list(scores.runs)
    counts = " and ".join(f"{len(scores.runs[group])} like {group}" for group in groups)
    st.caption(
        plain(
            f"{name}: {counts}; they differ only in the seed. Ranked by MIG, protocol {protocol}."
        )
    )
    if grid is not None and all(scores.values[group].get("mig") for group in groups):
        panels = [
            plane_panel(
                f"{rank} ({run.id})",
                st_load_model(run),
                st_encode_points(run, dataset.name),
                dataset,
                grid,
            )[0]
            for group in groups
            for rank, run in scores.worst_median_best(group, "mig")
        ]
        show_panels(panels, dataset, grid, key="seed-planes", columns=3)
    labels = {
        score: meaning.label
        for score, meaning in MEANINGS.items()
        if any(len(scores.values[group].get(score, [])) > 1 for group in groups)
    }
    columns = st.columns(3)
    for index, (score, label) in enumerate(labels.items()):
        of_score = {group: scores.values[group].get(score, []) for group in groups}
        with columns[index % len(columns)]:
            st.plotly_chart(seed_boxes(of_score, label), key=f"seeds-{score}", config=NO_TOOLBAR)
