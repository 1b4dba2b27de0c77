"""Networks of others, read from files that are hostile until they are read."""
