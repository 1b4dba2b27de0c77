"""What can go wrong with the bytes of a file, by format."""
