"""Which attention is worth its cost on one's own data."""
