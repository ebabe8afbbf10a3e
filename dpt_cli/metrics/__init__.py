"""Measures of depth and segmentation maps: pure functions on arrays, each with its source."""
