"""Algorithms on arrays, and the workflow that drives them over files."""
