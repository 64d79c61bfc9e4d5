"""A search: many trials of a spec with other settings, of which validation chooses the best."""
