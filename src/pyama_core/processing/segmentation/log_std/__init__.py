"""Phase contrast into a mask by the logarithm of the local standard deviation."""
