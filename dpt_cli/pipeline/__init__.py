"""Runs over photographs: plan them, schedule their stages, record what was done."""
