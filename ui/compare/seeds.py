"""Several seeds of each side's settings: three of each in one picture, and the spread of their
scores."""

from collections.abc import Mapping, Sequence

import streamlit as st

from dvae_core.analysis.axis_angles import FactorGrid
from dvae_core.data.dataset import Dataset
from dvae_core.evaluation.catalog import MEANINGS
from dvae_core.evaluation.results import ProtocolName
from dvae_core.figures.compare import seed_boxes
from dvae_core.runs.catalog import list_runs, run_roots
from dvae_core.runs.run import Run
from dvae_core.selection.seeds import SeedScores, same_but_seed
from ui.cached import st_encode_points, st_load_model, st_read_study
from ui.charts import NO_TOOLBAR
from ui.compare.comparison import Side
from ui.compare.planes import plane_panel, show_panels
from ui.errors import plain
from ui.latent_names import shown_names

MIN_SEEDS = 3


Groups = dict[str, list[Run]]


def seed_folders(sides: Sequence[Side], protocol: ProtocolName) -> dict[str, Groups]:
    """Folders that hold several seeds of both sides' settings, by their name: the runs of each
    side, by its name."""
    folders = {}
    for folder, root in run_roots().items():
        runs = st_read_study(list_runs(root), protocol).runs
        groups = {side.name: same_but_seed(side.run.record, runs) for side in sides}
        if all(len(alike) >= MIN_SEEDS for alike in groups.values()):
            folders[folder] = groups
    return folders


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
    ranked = [
        (f"{group}, {rank}", run)
        for group in groups
        for rank, run in scores.worst_median_best(group, "mig")
    ]
    if not all(run.has_model for _, run in ranked):
        st.caption("These runs are records without weights, so their codes cannot be drawn.")
    elif grid is not None and ranked:
        panels = [
            plane_panel(
                f"{rank} ({run.id})",
                st_load_model(run),
                st_encode_points(run, dataset.name),
                dataset,
                grid,
                shown_names(run),
            )[0]
            for rank, run in ranked
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
