"""Models from elsewhere in, and those from here out."""

import streamlit as st

from ui.errors import errors_shown
from ui.expander import show_expander
from ui.onnx_models import show_export, show_import, show_imported, show_recipes
from ui.routing import PAGES
from ui.run_picker import choose_run, select_run, show_summary
from ui.titles import show_title

show_title(
    "Models",
    "Import a trained VAE from another framework, or export a run as ONNX files.",
)
st.subheader("Import a model")
if made := st.session_state.get("model-imported"):
    address, notes = made
    show_imported(address, notes)
    if st.button("Open in Explore", icon=":material/tune:", key="model-explore"):
        select_run(address)
        del st.session_state["model-imported"]
        st.switch_page(PAGES / "explore.py")
st.write(
    "A VAE from any framework becomes a run like any other: export its encoder and decoder as "
    "ONNX files."
)
with errors_shown():
    show_import()
show_recipes()
with show_expander(
    "Import larger files from the command line", "model-command", ":material/terminal:"
):
    st.code(
        "python -m dvae_core import-model --name mine --encoder encoder.onnx "
        "--decoder decoder.onnx --latents gaussian --dataset circles",
        language=None,
        wrap_lines=True,
    )

st.subheader("Export a run")
chosen = choose_run()
if chosen is not None:
    address, run = chosen
    with st.sidebar:
        show_summary(run)
    st.write("Download the selected run as ONNX files, to use elsewhere or to import again.")
    with errors_shown():
        show_export(run)
