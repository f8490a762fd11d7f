"""Raw pictures, text and evaluation sets become shards, streams and pinned files."""
