"""What the app shows where a required library is missing."""

import streamlit as st

from ui.libraries import REQUIREMENTS, missing_libraries

st.set_page_config(page_title="dVAE Explorer")
st.title("dVAE Explorer", anchor=False)
missing = missing_libraries()
if missing:
    are = "is" if len(missing) == 1 else "are"
    st.error(f"{', '.join(missing)} {are} not installed.", icon=":material/error:")
    st.write("Install what is missing with this command:")
    st.code(
        f"pip install -r {REQUIREMENTS}"
        if REQUIREMENTS.is_file()
        else f"pip install {' '.join(missing)}",
        language=None,
    )
st.write("Then stop the app with Ctrl+C and start it again.")
