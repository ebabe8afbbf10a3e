"""Photographs: found, read once, decoded to RGB."""
