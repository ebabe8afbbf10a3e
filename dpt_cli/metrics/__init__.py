"""How far maps lie apart: pure functions on arrays."""
