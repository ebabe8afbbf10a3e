"""A photograph to a map: preprocess, network, postprocess."""
