"""OME-TIFF, of one file or several."""
