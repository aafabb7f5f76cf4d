"""dVAE Explorer: `streamlit run app.py`, or `dvae app` from any folder."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module

import streamlit as st
from starlette.middleware import Middleware

from ui.libraries import missing_libraries
from ui.upload_memory import drop_uploads_of_closed_tabs
from ui.web_guard import Guard

# What the app starts, and what libraries start for it, imports nothing from the working directory.
os.environ["PYTHONSAFEPATH"] = "1"

IS_COMPLETE = not missing_libraries()
SCRIPT = "ui/main.py" if IS_COMPLETE else "ui/missing.py"


@asynccontextmanager
async def working(app: st.App) -> AsyncIterator[None]:
    """Read the library while the first browser still reads the frontend: either takes a second.
    Free uploads of closed tabs as long as the app runs."""
    sweeping = asyncio.create_task(drop_uploads_of_closed_tabs())
    if IS_COMPLETE:
        module = "dvae_core.analysis.latent_profile"
        reading = asyncio.create_task(asyncio.to_thread(import_module, module))
        yield
        await reading
    else:
        yield
    sweeping.cancel()


app = st.App(SCRIPT, lifespan=working, middleware=[Middleware(Guard)])
