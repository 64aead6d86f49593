"""Compiled loops over runs of pixels; each has a slow, obvious reference in the tests."""
