"""Pictures, as PNG files; the only room that draws. Milliseconds on every axis."""
