"""Many photographs: what to do, in what order, what was done."""
