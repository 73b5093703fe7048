"""The interactive charts of a report as plain data: what the page's scripts draw."""
