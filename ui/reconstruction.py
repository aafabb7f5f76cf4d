"""A start image, its reconstruction and their difference, in the width of half a page."""

import streamlit as st

from dvae_core.analysis.reconstruction import reconstruct
from dvae_core.analysis.traversal import to_pixels
from dvae_core.models.vae import VAE
from ui.images import show_image
from ui.start_picker import ResolvedStart

IMAGE_PX = 96


def show_reconstruction(model: VAE, resolved: ResolvedStart) -> None:
    """The images side by side with the loss and the KL; nothing for a sample of the prior."""
    if resolved.image is None:
        return
    own = reconstruct(model, resolved.image, resolved.code)
    with st.container(horizontal=True):
        show_image(to_pixels(resolved.image), "start image", IMAGE_PX)
        show_image(to_pixels(own.image), "reconstruction", IMAGE_PX)
        show_image(to_pixels((1 + own.difference) / 2), "difference", IMAGE_PX)
        with st.container(width=120, gap=None):
            st.markdown(f"Reconstruction loss **{own.loss:.1f} nats**")
            if resolved.posterior is not None:
                st.markdown(f"KL **{resolved.posterior.kl().sum():.2f} nats**")
