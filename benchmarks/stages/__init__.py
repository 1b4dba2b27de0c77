"""What the LIF and the rate stage cost, and how near they are to their oracles."""
