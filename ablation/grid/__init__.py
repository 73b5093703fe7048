"""What is asked: the grid file, read with positions, becomes a study, its variants and its trials."""
