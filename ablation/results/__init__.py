"""What is known of a run: its study, its trials, its tables and the notes on them."""
