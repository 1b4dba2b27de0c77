"""What a tuned network is wanted to do, as a loss on batches of trials."""
