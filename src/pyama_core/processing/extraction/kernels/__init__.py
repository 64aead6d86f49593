"""Compiled loops over the pixels of cells; each has a slow, obvious reference in the tests."""
