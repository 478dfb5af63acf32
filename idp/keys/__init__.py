"""Floor 4: the life of signing keys."""
