"""The version of gridcnn: one constant, read by the build and by model files."""

VERSION = "0.6.0"
