"""Several seeds of each family: three of each in one picture, and how far their scores spread."""

from collections import Counter
from collections.abc import Mapping, Sequence

import streamlit as st

from dvae_core.analysis.axis_angles import FactorGrid
from dvae_core.data.dataset import Dataset
from dvae_core.evaluation.catalog import MEANINGS
from dvae_core.evaluation.results import ProtocolName
from dvae_core.figures.compare import family_boxes
from dvae_core.runs.catalog import usable_runs
from dvae_core.runs.run import Run
from dvae_core.selection.seeds import SeedScores
from ui.cached import st_encode_points, st_load_model
from ui.charts import NO_TOOLBAR
from ui.compare.planes import plane_panel, show_panels
from ui.errors import plain

MIN_SEEDS = 3


def seed_folders(dataset: Dataset) -> dict[str, list[Run]]:
    """Folders that hold several runs of at least two families on a data set, by their name."""
    folders: dict[str, list[Run]] = {}
    for address, run in usable_runs():
        record = run.record
        if (record.dataset, record.image_shape) == (dataset.name, dataset.image_shape):
            folders.setdefault(address.rpartition("/")[0], []).append(run)

    def has_seeds(runs: list[Run]) -> bool:
        counts = Counter(run.record.latents for run in runs).values()
        return sum(count >= MIN_SEEDS for count in counts) > 1

    return {name: runs for name, runs in folders.items() if has_seeds(runs)}


def choose_folder(folders: Mapping[str, Sequence[Run]]) -> str | None:
    """One of the folders with seeds; None, and a word on how to get one, where there is none."""
    if not folders:
        st.caption(
            "No folder holds three or more runs of each family on this data set, so the spread "
            "between seeds is unknown."
        )
        return None
    names = list(folders)
    if len(names) == 1:
        return names[0]
    return st.selectbox("Folder of runs", names, key="seeds-folder", width=320)


def show_seeds(
    name: str, scores: SeedScores, dataset: Dataset, grid: FactorGrid | None, protocol: ProtocolName
) -> None:
    """Worst, median and best by MIG of each family, and the distribution of every metric."""
    families = [family for family, runs in scores.runs.items() if runs]
    counts = " and ".join(f"{len(scores.runs[family])} {family}" for family in families)
    st.caption(plain(f"{name}: {counts} runs. Ranked by MIG, protocol {protocol}."))
    if (
        grid is not None
        and families
        and all(scores.values[family].get("mig") for family in families)
    ):
        panels = [
            plane_panel(
                f"{rank} {family} ({run.id})",
                st_load_model(run),
                st_encode_points(run, dataset.name),
                dataset,
                grid,
            )[0]
            for family in families
            for rank, run in scores.worst_median_best(family, "mig")
        ]
        show_panels(panels, dataset, grid, key="seed-planes", columns=3)
    labels = {
        score: meaning.label
        for score, meaning in MEANINGS.items()
        if any(len(scores.values[family].get(score, [])) > 1 for family in families)
    }
    columns = st.columns(3)
    for index, (score, label) in enumerate(labels.items()):
        of_score = {family: scores.values[family].get(score, []) for family in families}
        with columns[index % len(columns)]:
            st.plotly_chart(family_boxes(of_score, label), key=f"seeds-{score}", config=NO_TOOLBAR)
