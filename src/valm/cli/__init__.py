"""The only part that parses arguments and exits."""
