"""Tables whose rows are the items themselves, as texts or as numbers."""
