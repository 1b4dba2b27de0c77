"""What readers make of damaged files."""
