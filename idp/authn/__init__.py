"""Floor 4: who is at the keyboard."""
