"""Medians of tiles between the cells, and a smooth surface through them."""
