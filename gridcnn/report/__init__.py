"""Reports for people: self-contained pages, and the pictures in them."""
