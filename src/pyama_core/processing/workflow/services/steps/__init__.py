"""The four steps that follow the copying."""
