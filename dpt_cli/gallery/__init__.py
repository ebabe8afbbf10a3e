"""One page over an output folder, which works from disk: no server, no network."""
