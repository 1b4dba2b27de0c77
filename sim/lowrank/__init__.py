"""Reading a network through its low-rank part: factors, κ, overlaps, dynamics."""
