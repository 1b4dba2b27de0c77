"""Timescales of recordings, and of networks stage by stage."""
