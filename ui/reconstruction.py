"""A start image, its reconstruction and their difference."""

import streamlit as st
from torch import Tensor

from dvae_core.analysis.reconstruction import Reconstruction, reconstruct
from dvae_core.analysis.traversal import to_pixels
from dvae_core.models.vae import VAE
from ui.images import show_image
from ui.start_picker import ResolvedStart

IMAGE_PX = 96
CAPTIONS = ("start image", "reconstruction", "difference")


def show_pictures(
    image: Tensor,
    own: Reconstruction,
    captions: tuple[str, str, str] = CAPTIONS,
    width: int = IMAGE_PX,
) -> None:
    """An image (C, H, W), its reconstruction, and their difference, where grey is none."""
    pictures = (image, own.image, (1 + own.difference) / 2)
    for picture, caption in zip(pictures, captions, strict=True):
        show_image(to_pixels(picture), caption, width)


def show_reconstruction(model: VAE, resolved: ResolvedStart) -> None:
    """The pictures with the loss and the KL, in the width of half a page; nothing for a sample of
    the prior."""
    if resolved.image is None:
        return
    own = reconstruct(model, resolved.image, resolved.code)
    with st.container(horizontal=True):
        show_pictures(resolved.image, own)
        with st.container(width=120, gap=None):
            st.markdown(f"Reconstruction loss **{own.loss:.1f} nats**")
            if resolved.posterior is not None:
                st.markdown(f"KL **{resolved.posterior.kl().sum():.2f} nats**")
