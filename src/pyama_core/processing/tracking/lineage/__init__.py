"""Tracking through gaps, contacts, divisions and movements of the stage."""
