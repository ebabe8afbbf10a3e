"""`dpt bench`: options, table and plot."""
