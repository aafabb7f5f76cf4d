"""dVAE Explorer: `streamlit run app.py`, or `dvae app` from any folder."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module

import streamlit as st


@asynccontextmanager
async def preloading(app: st.App) -> AsyncIterator[None]:
    """Read the library while the first browser still reads the frontend: either takes a second."""
    reading = asyncio.create_task(
        asyncio.to_thread(import_module, "dvae_core.analysis.latent_profile")
    )
    yield
    await reading


app = st.App("ui/main.py", lifespan=preloading)
