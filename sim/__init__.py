"""Running networks and looking at what they did."""
