"""News of the next release, a file for each."""
