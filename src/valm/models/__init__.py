"""Tensors in, tensors out: the transformer and the fusions."""
