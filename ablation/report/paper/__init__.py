"""What a paper takes of a run: LaTeX pieces, references, figures in column width, and a checklist."""
