"""Microscopy files in; stacks, records and result files out."""
