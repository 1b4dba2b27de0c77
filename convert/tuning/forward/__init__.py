"""Spikes from parameters, with gradients: Norse's loop, compiled, the chip's."""
