"""Frames as runs of pixels: what several algorithms ask of the objects of a frame."""
