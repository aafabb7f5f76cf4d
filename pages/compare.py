"""Two runs on the same images: Gaussian beside discrete, and why a grid resists rotation."""

import streamlit as st

from dvae_core.analysis.axis_angles import FactorGrid
from dvae_core.evaluation.results import ProtocolName, read_evaluation
from dvae_core.selection.seeds import SeedScores, read_seed_scores
from ui.cached import st_load_dataset
from ui.compare.boards import show_boards, show_information
from ui.compare.comparison import MATCHES, Comparison, choose_sides, open_comparison
from ui.compare.planes import choose_factors, grid_around, plane_latents, plane_panel, show_panels
from ui.compare.rotation import show_turning
from ui.compare.seeds import choose_folder, seed_folders, show_seeds
from ui.errors import errors_shown, plain
from ui.score_tables import differences_table, show_differences
from ui.start_picker import choose_start

PROTOCOLS: tuple[ProtocolName, ...] = ("paper", "native")


def show_plane(comparison: Comparison, grid: FactorGrid) -> None:
    """The grid of two factors in both latent planes."""
    panels = [
        plane_panel(side.name, side.model, side.points, comparison.dataset, grid)
        for side in comparison.sides
    ]
    show_panels(panels, comparison.dataset, grid, key="planes")


chosen = choose_sides()
if chosen is None:
    st.stop()
with errors_shown():
    left, right = (run.record for _, run in chosen)
    dataset = st_load_dataset(left.dataset, left.image_size)
    comparison = open_comparison(*chosen, dataset)
    with st.sidebar:
        linked = st.toggle(
            "Link the boards",
            value=True,
            key="linked",
            help="Moving a latent also moves its partner in the other model to the matching value.",
        )
        match = st.selectbox(
            "Match linked latents by",
            list(MATCHES),
            format_func=MATCHES.__getitem__,
            key="match",
            disabled=not linked,
        )
        comparison.begin()  # settles a start that the left data set does not have
        choose_start(
            comparison.sides[0].exploration, comparison.sides[0].model, dataset, key="compare-start"
        )
        protocol = st.radio("Protocol of the scores", PROTOCOLS, key="compare-protocol")
    if left.dataset != right.dataset:
        st.warning(
            plain(
                f"The runs were trained on different data: {left.dataset} and {right.dataset}. "
                f"Here both encode images of {left.dataset}; the scores of each are for its own "
                "data."
            )
        )
    show_boards(comparison, match if linked else None)

    grid: FactorGrid | None = None
    if dataset.factor_sizes:
        st.subheader("The same grid in both latent spaces")
        st.write(
            "Every value of two factors, encoded. Along each line, one factor is fixed and the "
            "other varies; the arrows show a fitted linear map. Hover over the grid to see the "
            "image at that point in both models."
        )
        pair = choose_factors(dataset)
        if pair is not None:
            grid = grid_around(dataset, comparison.sides[0].exploration.start, pair)
            show_plane(comparison, grid)
            planes = [plane_latents(side.points, pair) for side in comparison.sides]
            if planes[0] is not None and planes[1] is not None:
                st.subheader("Rotate both latent spaces")
                st.write(
                    "A standard normal prior is the same in every direction; a grid has axes "
                    "and a border. Rotate both planes and watch the terms of the loss."
                )
                show_turning(comparison, (planes[0], planes[1]))
        st.subheader("Which latent encodes which factor?")
        show_information(comparison)

    st.subheader("Several seeds")
    folders = seed_folders(dataset)
    folder = choose_folder(folders)
    seeds: SeedScores | None = None
    if folder is not None:
        seeds = read_seed_scores(folders[folder], protocol)
        show_seeds(folder, seeds, dataset, grid, protocol)

    st.subheader("Scores of both models")
    sides = comparison.sides
    table = differences_table(
        (read_evaluation(sides[0].run), read_evaluation(sides[1].run)),
        (sides[0].name, sides[1].name),
        (left.latents, right.latents),
        protocol,
        seeds,
    )
    if table.empty:
        st.caption("Neither run is evaluated under this protocol yet. Evaluate them on Factors.")
    else:
        show_differences(table)
        st.caption(
            f"Protocol {protocol}. A run counts as better only beyond the spread of seeds: "
            "twice the standard deviation of the difference between one run of each family."
        )
