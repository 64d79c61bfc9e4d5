"""Measures the web server under load, beside a server with ONNX Runtime."""
