"""The figures of a run: for each a pure data function, and a function that only draws."""
