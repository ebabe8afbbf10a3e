"""The network on torch: CUDA, MPS or CPU."""
