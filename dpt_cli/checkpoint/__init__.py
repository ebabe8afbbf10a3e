"""Weights files: where they come from, what their names mean, and into a network."""
