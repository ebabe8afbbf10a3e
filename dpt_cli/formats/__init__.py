"""Maps into files, and files that are whole or not there."""
