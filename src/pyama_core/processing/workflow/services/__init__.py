"""Files in, files out, for one field of view."""
