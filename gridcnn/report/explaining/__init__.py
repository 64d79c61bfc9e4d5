"""Explanations: an item on its way through a network, what mattered, what features look for."""
