"""Engines: what carries a network's arithmetic out. All give the same votes and gradients."""
