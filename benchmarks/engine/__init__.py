"""What a time step costs, and what spikes cost in memory."""
