"""The report: what was compared, what came out, and how it was measured."""
