"""Sparse networks of many neurons: time, memory and bits."""
