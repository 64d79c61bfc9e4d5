"""The PyTorch engine: the same networks on a graphics card, or on the processor."""
