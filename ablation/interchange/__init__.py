"""A run as a pack: files that another person can check and repeat, described for other tools."""
