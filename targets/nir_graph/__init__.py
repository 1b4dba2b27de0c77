"""NIR graphs: in, out, and what they cannot say."""
