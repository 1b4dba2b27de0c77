"""Whether what is exported runs as isotau runs it."""
