"""``/recover``: a new password by a link that is sent by mail, and never a session by it."""
