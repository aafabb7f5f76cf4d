"""The published data sets of the literature, read from their own files."""
