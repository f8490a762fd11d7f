"""What models are trained to say: one registered plug-in a file."""
