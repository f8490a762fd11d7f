"""HTML: the report, executed notebooks, two studies side by side."""
