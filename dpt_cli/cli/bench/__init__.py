"""`dpt bench`: options, table, plot."""
