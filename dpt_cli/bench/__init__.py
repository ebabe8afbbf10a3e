"""Measures how fast networks run, how much memory they take and how far results drift."""
