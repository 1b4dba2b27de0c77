"""Normal numbers, and passes over neurons in vector registers."""
