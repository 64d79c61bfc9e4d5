"""The pages, and what writes their generated parts and pictures."""
