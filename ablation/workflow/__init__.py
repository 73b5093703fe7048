"""The pipeline as one function, and what is around it: plan, check, merge, audit."""
