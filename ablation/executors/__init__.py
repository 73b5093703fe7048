"""Where trials run: one contract, several places."""
