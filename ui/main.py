"""What the app runs for a session: the page that was asked for."""

from pathlib import Path

import streamlit as st

from ui import state
from ui.routing import navigate

# A file of our own: a named icon would be asked of a server elsewhere.
icon = Path(__file__).with_name("icon.png")
st.set_page_config(page_title="dVAE Explorer", page_icon=str(icon), layout="wide")
page = navigate()
state.enter_page(page.url_path)
page.run()
