"""Import and export of runs and models."""
