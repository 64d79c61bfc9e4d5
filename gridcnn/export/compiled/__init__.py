"""Networks compiled ahead of time for another processor: an object file, a C header, an example."""
