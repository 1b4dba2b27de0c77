"""What is trained, by how much, and what no update may change."""
