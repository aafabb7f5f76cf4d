"""Parts of the page Select."""
