"""A run is a folder: its files, its records, and where runs lie."""
