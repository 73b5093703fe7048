"""The templates of reports, and of a new study's files."""
