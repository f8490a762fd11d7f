"""What the answers are worth: metrics, intervals, tests."""
