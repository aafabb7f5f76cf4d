"""Published data sets, read from their original files."""
