"""Compiled kernels of the segmentation of bright objects."""
