"""Tasks: what networks are shown and how their answers are scored."""
