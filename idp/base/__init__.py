"""Floor 1: what knows no identity words."""
