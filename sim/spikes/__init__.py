"""Spikes of ideal observers, and how alike two rasters are."""
