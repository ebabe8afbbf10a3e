"""Photographs beside the truth: data sets, their files, and the scores of a model on them."""
