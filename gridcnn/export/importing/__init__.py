"""Import: an ONNX file of another program as a spec and a model."""
