"""Timescale estimators."""
