"""LIF networks into the chip's integers, and what rounding did to them."""
