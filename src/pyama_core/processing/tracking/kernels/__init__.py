"""Compiled loops that several trackings share; each has a slow, obvious reference in the tests."""
