"""ONNX: one file that holds the adapter and the network, for many other programs."""
