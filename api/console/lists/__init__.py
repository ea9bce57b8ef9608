"""Screens of push lists: that of a member, that for a role and an industry."""
