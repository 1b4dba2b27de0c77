"""The chip's arithmetic: widths, shifts, wrapping, and its counter-based noise."""
