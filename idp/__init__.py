"""A standalone OAuth 2 and OpenID Connect identity provider."""
