"""Authentication, OpenID Connect tokens and rate limits."""
