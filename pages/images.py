"""All encoded images of a run: one table and one map of them, and slices by conditions."""

import numpy as np
import streamlit as st

from dvae_core.analysis.encoded import EncodedSet
from dvae_core.data.dataset import Dataset
from dvae_core.models.vae import VAE
from dvae_core.runs.run import Run
from ui.cached import st_load_dataset, st_load_model
from ui.encoding import st_encoded_set
from ui.errors import errors_shown
from ui.images_page.chosen import look_up_chosen, show_chosen
from ui.images_page.map import show_map
from ui.images_page.scores import show_means, show_scores
from ui.images_page.slices import choose_slice
from ui.images_page.table import Images, show_image_table
from ui.latent_names import shown_names
from ui.link import write_link
from ui.run_picker import choose_run, show_summary
from ui.selection import Exploration, current_selection
from ui.start_picker import start_at_image
from ui.titles import show_title
from ui.view import choose_part

PARTS = {"table": "Table", "map": "Map", "scores": "Scores of the slice"}
# To encode. With 10 categorical latents and 6 factors, 100,000 images take 26 MB.
COUNTS = (1_000, 10_000, 100_000)
DEFAULT = "10000"


def choose_count(dataset: Dataset) -> int:
    """How many images to encode."""
    total = dataset.num_images
    counts = {str(count): f"{count:,}" for count in COUNTS if count < total}
    if total <= COUNTS[-1]:
        counts[str(total)] = f"all {total:,}"
    default = DEFAULT if DEFAULT in counts else list(counts)[-1]
    if len(counts) == 1:
        return int(default)
    with st.sidebar:
        chosen = choose_part("Images", "count", counts, key="images-count", default=default)
    return int(chosen or default)


@st.fragment
@errors_shown()
def show_page(
    exploration: Exploration, run: Run, model: VAE, dataset: Dataset, encoded: EncodedSet
) -> None:
    """All that a choice on the page changes; the side bar is left alone."""

    def choose(row: int) -> None:
        start = start_at_image(int(encoded.numbers[row]), dataset)
        if start != exploration.start or exploration.code is not None:
            exploration.begin(start)

    names = shown_names(run)
    images = Images(model, dataset, encoded, choose, names)
    mask = choose_slice(encoded, names)
    show_means(encoded, mask)
    chosen = look_up_chosen(images, exploration)
    left, right = st.columns([3, 2], gap="large")
    with left:
        part = choose_part("Show", "part", PARTS, key="images-part", default="table")
        if part == "map":
            show_map(images, mask, chosen.row, chosen.near.rows.tolist())
        elif not mask.any():
            st.caption("Remove or change a condition to see images.")
        elif part == "scores":
            show_scores(encoded, mask, names)
        else:
            show_image_table(images, np.flatnonzero(mask), run.id)
    with right:
        show_chosen(images, chosen)
    write_link(in_fragment=True)


show_title(
    "Images",
    "All encoded images in one table and on one map. Conditions select a slice of them; a click "
    "makes an image the start on every page.",
)
selected = choose_run()
if selected is None:
    st.stop()
address, run = selected
exploration = current_selection().exploration(address)
with st.sidebar:
    show_summary(run)
if not run.record.has_encoder:
    st.info(
        "This model has no encoder, so its data set has no codes to list. Explore can still "
        "traverse its latents.",
        icon=":material/label_off:",
    )
    st.stop()
with errors_shown():
    model = st_load_model(run)
    dataset = st_load_dataset(run.record.dataset, run.record.image_size)
    encoded = st_encoded_set(run, choose_count(dataset))
    show_page(exploration, run, model, dataset, encoded)
