"""Segmentation by another program: its masks or label images are read from files."""
