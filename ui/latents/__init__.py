"""Parts of the page Latents."""
