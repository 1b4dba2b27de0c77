"""Handing networks to other systems."""
