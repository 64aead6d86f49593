"""One file to look at beside the results of a run; it opens without a server and a network."""
