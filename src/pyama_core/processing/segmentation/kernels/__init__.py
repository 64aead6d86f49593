"""Kernels that segmentations share."""
