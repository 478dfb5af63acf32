"""Floor 4: what the OAuth and OpenID Connect specifications say."""
