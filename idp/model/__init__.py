"""Floor 2: frozen values and state machines, without I/O."""
