"""Networks that other frameworks trained."""
