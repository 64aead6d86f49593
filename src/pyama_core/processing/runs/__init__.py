"""Compiled loops over pixels; each has a slow, obvious twin in the tests."""
