"""What one peer decides: its state, its records, claims, limits and retention. Pure."""
