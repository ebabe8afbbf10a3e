"""Relative inverse depth to metres, by distances that the user knows."""
