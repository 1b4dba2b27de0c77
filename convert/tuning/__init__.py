"""Tuning LIF networks by gradient, in floats and through the chip's arithmetic."""
