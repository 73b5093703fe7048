"""Tuning: every variant is searched with the same budget, and compared at its own best settings, too."""
