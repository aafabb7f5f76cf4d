"""Hostile files of all kinds, and what the project makes of them; see `python -m benchmarks.hostile
--help`."""
