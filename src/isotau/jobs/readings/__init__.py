"""Jobs that carry a network and read what it computes: memory code, low rank."""
