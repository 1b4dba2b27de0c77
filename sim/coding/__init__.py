"""Memory code: which units hold what was shown, and for how long in the same way."""
