"""Text sources become cleaned documents, and documents token streams."""
