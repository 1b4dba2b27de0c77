"""Running rate and LIF networks in floats, and reading their outputs."""
