"""Runs: the run folder, its files and records, and the folders that hold runs."""
