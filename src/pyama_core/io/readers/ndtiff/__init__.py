"""NDTiff of Micro-Manager 2 and pycro-manager."""
