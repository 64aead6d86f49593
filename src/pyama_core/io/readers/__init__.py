"""Microscopy files: their metadata, and one (Y, X) frame at a time."""
