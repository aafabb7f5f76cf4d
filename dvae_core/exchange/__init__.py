"""Runs and models in from elsewhere, and out again."""
