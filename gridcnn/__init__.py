"""Classify anything that can be made to look like an image, from one short declarative spec.

Names load when they are first used, so that `import gridcnn` costs next to nothing.
"""
