"""How operations run: which form is taken, in what blocks and precision, and how kernels start."""
