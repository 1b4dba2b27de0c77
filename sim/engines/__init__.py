"""Engines that run a `FixedPointNetwork`, bit for bit alike."""
