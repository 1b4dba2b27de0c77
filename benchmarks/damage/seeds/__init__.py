"""Whole files, to be damaged."""
