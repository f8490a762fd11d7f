"""Vectors become indices, and every token gets its K pictures."""
