"""Two runs on the same images: Gaussian beside discrete, and what a rotation costs each."""

import pandas as pd
import streamlit as st

from dvae_core.analysis.axis_angles import FactorGrid, FactorPlane
from dvae_core.errors import DataError
from dvae_core.evaluation.results import ProtocolName, read_evaluation
from dvae_core.selection.seeds import read_seed_scores
from dvae_core.selection.study import study_settings
from ui.boards import choose_within_data
from ui.cached import st_load_dataset
from ui.compare.boards import describe_pairs, show_boards, show_information
from ui.compare.comparison import MATCHES, Comparison, choose_sides, open_comparison
from ui.compare.planes import choose_factors, grid_around, plane_panel, show_panels, verdict
from ui.compare.rotation import show_turning
from ui.compare.seeds import choose_folder, seed_folders, show_seeds
from ui.errors import errors_shown, plain
from ui.link import current_view, set_view
from ui.run_picker import choose_protocol
from ui.score_tables import differences_table, show_differences, show_reasons
from ui.start_picker import choose_start
from ui.tables import show_table
from ui.titles import show_title
from ui.view import choose_part
from ui.widgets import choose, when_changed, widget_key

PARTS = {
    "scores": "Scores",
    "settings": "Settings",
    "seeds": "Several seeds",
    "rotation": "Rotate both latent spaces",
    "information": "Which latent encodes which factor?",
}

Argument = tuple[FactorGrid, list[FactorPlane]]


def show_argument(comparison: Comparison) -> Argument | None:
    """The grid of two factors in both latent planes, and a sentence on what it shows."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.subheader("The same images in both latent spaces", anchor=False, width="stretch")
        pair = choose_factors(comparison.dataset, [side.points for side in comparison.sides])
    if pair is None:
        return None
    try:
        grid = grid_around(comparison.dataset, comparison.sides[0].exploration.start, pair)
    except DataError as error:  # data of one's own, which need not have all combinations
        st.info(plain(f"The plane needs an image for each pair of values, but {error}."))
        return None
    panels, planes = zip(
        *(
            plane_panel(side.name, side.model, side.points, comparison.dataset, grid, side.names)
            for side in comparison.sides
        ),
        strict=True,
    )
    names = [side.name for side in comparison.sides]
    st.markdown(
        f"**{plain(verdict(names, planes))}** Along each line, one factor is fixed and the "
        "other varies; the arrows show a fitted linear map. Hover over a grid to see its images."
    )
    show_panels(panels, comparison.dataset, grid, key="planes")
    return grid, list(planes)


def show_part(
    comparison: Comparison, part: str | None, protocol: ProtocolName, shown: Argument | None
) -> None:
    """One of the parts below the boards."""
    grid, planes = shown or (None, [])
    match part:
        case "rotation" if planes:
            st.write(
                "A decoder can rotate Gaussian codes back, so their reconstruction stays the same; "
                "the KL of an image changes only where its posterior is wider along one of the two "
                "latents. On a grid, rotated cells merge or leave the border, which costs "
                "reconstruction, unless the codes also shrink until they fit. How much depends on "
                "how far the codes of these images reach into the corners."
            )
            show_turning(comparison, (planes[0].latents, planes[1].latents))
        case "information" if comparison.dataset.factor_sizes:
            show_information(comparison)
        case "seeds":
            show_all_seeds(comparison, protocol, grid)
        case "scores":
            show_scores(comparison, protocol)
        case "settings":
            show_settings(comparison)
        case _:
            st.caption("This part needs a data set with two factors, and two latents in each run.")


def show_all_seeds(comparison: Comparison, protocol: ProtocolName, grid: FactorGrid | None) -> None:
    """Runs with the settings of either side and other seeds, from a folder that has them."""
    folders = seed_folders(comparison.sides, protocol)
    folder = choose_folder(folders)
    if folder is not None:
        seeds = read_seed_scores(folders[folder], protocol)
        show_seeds(folder, seeds, comparison.dataset, grid, protocol)


def show_scores(comparison: Comparison, protocol: ProtocolName) -> None:
    """The scores of both runs, and whether their difference exceeds that of seeds."""
    folders = seed_folders(comparison.sides, protocol)
    folder = choose_folder(folders) if folders else None
    seeds = None if folder is None else read_seed_scores(folders[folder], protocol)
    left, right = comparison.sides
    evaluations = read_evaluation(left.run), read_evaluation(right.run)
    table = differences_table(
        evaluations,
        (left.name, right.name),
        protocol,
        seeds,
    )
    if table.empty:
        st.caption("Neither run is evaluated under this protocol yet. Evaluate them on Factors.")
        return
    show_differences(table)
    show_reasons(evaluations, protocol)
    st.caption(
        f"Protocol {protocol}. "
        + (
            "One run of each: without several seeds, a difference says nothing about the settings."
            if seeds is None
            else "A run counts as better only beyond the spread of seeds: twice the standard "
            "deviation of the difference between one run with either side's settings."
        )
    )


def show_settings(comparison: Comparison) -> None:
    """What each run was trained with; the link says whether equal settings are shown too."""
    all_shown = current_view().get("settings") == "all"
    key = widget_key("settings-differences", not all_shown)
    st.toggle(
        "Differences only",
        not all_shown,
        key=key,
        on_change=when_changed(key, lambda only: set_view(settings="" if only else "all")),
    )
    settings = {
        side.name: {
            name: str(value)
            for name, value in study_settings(side.run.record).items()
            if value is not None
        }
        for side in comparison.sides
    }
    table = pd.DataFrame(settings).fillna("does not apply")
    if not all_shown:
        left, right = settings
        table = table[table[left] != table[right]]
    if table.empty:
        st.caption("The two runs have the same settings.")
        return
    show_table(table.rename_axis("setting").reset_index())


show_title(
    "Compare",
    "Two runs on the same images: does each latent axis follow one factor, or has the model "
    "rotated its axes?",
)
chosen = choose_sides()
if chosen is None:
    st.stop()
with errors_shown():
    left, right = (run.record for _, run in chosen)
    dataset = st_load_dataset(left.dataset, left.image_size)
    comparison = open_comparison(*chosen, dataset)
    comparison.begin()  # settles a start that the left data set does not have
    with st.sidebar:
        choose_start(
            comparison.sides[0].exploration, comparison.sides[0].model, dataset, key="compare-start"
        )
        view = current_view()
        is_linked = view.get("linked") != "no"
        key = widget_key("linked", is_linked)
        linked = st.toggle(
            "Link the boards",
            is_linked,
            key=key,
            on_change=when_changed(key, lambda on: set_view(linked="" if on else "no")),
            help="Moving a latent also moves its partner in the other model to the matching value. "
            f"Partners, left ↔ right:\n{describe_pairs(comparison)}",
        )
        wanted = view.get("match", "")
        wanted = wanted if wanted in MATCHES else "quantile"
        choose(
            "Match linked latents by",
            MATCHES,
            wanted,
            name="match",
            take=lambda match: set_view(match=match),
            disabled=not linked,
        )
        choose_within_data()
        protocol = choose_protocol()
    if left.dataset != right.dataset:
        st.warning(
            plain(
                f"The runs were trained on different data: {left.dataset} and {right.dataset}. "
                f"Here both encode images of {left.dataset}; the scores of each are for its own "
                "data."
            )
        )
    shown = None
    if dataset.factor_sizes:
        with errors_shown():
            shown = show_argument(comparison)
    show_boards(comparison, wanted if linked else None)
    part = choose_part(
        "Details",
        "part",
        PARTS,
        key="compare-part",
        default="scores",
        label_visibility="collapsed",
    )
    show_part(comparison, part, protocol, shown)
