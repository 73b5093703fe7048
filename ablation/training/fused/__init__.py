"""Training with JAX: the seeds of a variant are one program, because they differ only in numbers.

A small model leaves a GPU idle: a step is a hundred kernels, each of which ends before the next one is
launched. So the steps of an epoch are one compiled loop, and each step computes all seeds at once. See Wang
et al. (2021), "Horizontally Fused Training Array", arXiv:2102.02344.
"""
