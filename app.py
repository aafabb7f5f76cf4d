"""dVAE Explorer: `streamlit run app.py`, or `dvae app` from any folder."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module

import streamlit as st

from ui.libraries import missing_libraries

# What the app starts, and what libraries start for it, imports nothing from the working directory.
os.environ["PYTHONSAFEPATH"] = "1"

IS_COMPLETE = not missing_libraries()
SCRIPT = "ui/main.py" if IS_COMPLETE else "ui/missing.py"


@asynccontextmanager
async def preloading(app: st.App) -> AsyncIterator[None]:
    """Read the library while the first browser still reads the frontend: either takes a second."""
    if not IS_COMPLETE:
        yield
        return
    reading = asyncio.create_task(
        asyncio.to_thread(import_module, "dvae_core.analysis.latent_profile")
    )
    yield
    await reading


app = st.App(SCRIPT, lifespan=preloading)
