"""Data sets that the user imports."""
