"""Data sets that a user brings."""
