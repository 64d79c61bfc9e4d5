"""Stages: one file each, with settings, output shape, parameters, cost and arithmetic."""
