"""The study's models under EleutherAI's lm-evaluation-harness, and its probes as tasks there."""
