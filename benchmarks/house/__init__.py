"""The state of the house: whether the code can be lived in, in figures."""
