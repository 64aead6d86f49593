"""What the camera would see without cells: a fluorescence frame in, a corrected frame out."""
