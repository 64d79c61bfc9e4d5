"""A search: many trials of a spec with other settings; validation chooses the best."""
