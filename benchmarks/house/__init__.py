"""The state of the house: what issue 15 wants of the code's structure, in figures."""
