"""The interactive charts of a report as plain data: what a page's scripts draw, computed from a run's tables."""
