"""Which object is which cell: a mask or label image per frame in, cell ids out."""
