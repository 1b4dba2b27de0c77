"""How right timescales are, and whether they survive conversion."""
