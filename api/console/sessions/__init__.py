"""Sessions of the console: login with a key or by the OpenID provider, logout."""
