"""TIFF files without OME-XML, and what all readers of TIFF share."""
