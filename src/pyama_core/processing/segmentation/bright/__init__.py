"""Bright objects, such as nuclei and cells in fluorescence, or dark ones, into instances."""
