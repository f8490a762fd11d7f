"""How pictures enter the trunk: one registered plug-in a file."""
