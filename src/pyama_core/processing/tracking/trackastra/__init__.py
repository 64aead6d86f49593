"""Tracking by trackastra, an optional package."""
