"""How bright, how large, where: a label image and a frame in, one row per cell out."""
