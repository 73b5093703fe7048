"""One trial, trained in one process."""
