"""The network of the paper: tensors in, tensors out. Knows no path, no registry, no numpy."""
