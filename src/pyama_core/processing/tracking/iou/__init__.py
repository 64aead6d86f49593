"""Tracking by overlap of masks in consecutive frames."""
