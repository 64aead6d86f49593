"""Compiled loops over pixels; each has a slow, obvious reference in the tests."""
