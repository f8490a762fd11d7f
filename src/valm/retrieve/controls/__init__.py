"""What a token is given: one registered file a control, numpy only (``valm.retrieve.given``)."""
