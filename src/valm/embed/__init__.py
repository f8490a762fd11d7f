"""Pictures and token states become vectors."""
