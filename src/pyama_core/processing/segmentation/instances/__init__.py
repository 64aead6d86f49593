"""Phase contrast into instances, one label per cell, at the scale of the cells."""
