"""The records that stages hand to each other, and their files."""
