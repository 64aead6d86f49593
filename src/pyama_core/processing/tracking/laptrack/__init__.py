"""Tracking by laptrack, an optional package."""
