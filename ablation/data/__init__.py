"""Images from anywhere become one dataset."""
