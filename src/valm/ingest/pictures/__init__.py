"""Picture sources become tar shards and one numbered list of pictures."""
