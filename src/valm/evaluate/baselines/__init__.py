"""Kinds of models of others that answer the study's tasks: one registered file each."""
