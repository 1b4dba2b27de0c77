"""Our estimators of timescales beside those of others, on the same data."""
