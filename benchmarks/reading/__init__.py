"""Reading: how fast files become grids, against the best loader that one would write."""
