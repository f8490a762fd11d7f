"""Token streams and neighbours become trained models."""
