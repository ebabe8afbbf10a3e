"""How the bundled `tiny` weights were made; not part of the package that users install."""
