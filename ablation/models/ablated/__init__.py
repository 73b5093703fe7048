"""A user's model without parts of it: what a part is, and how the rest is put together again."""
