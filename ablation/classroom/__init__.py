"""A study in a class: students train all variants with seeds of their own, and hand-ins become one run."""
