"""Whether this installation computes what it should, and what this machine is."""
