"""Measurements: what they report depends on the machine, so they assert nothing about time."""
