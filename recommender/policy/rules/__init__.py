"""Rules that policies apply to ranked lists, one to a module."""
