"""Public sets that are known by name: what they are, fetching them, and reading them."""
