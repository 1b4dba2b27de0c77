"""What tuning gives back, and what it costs."""
