"""What can be studied: items, roles, industries, prerequisites, text. Pure: frames in, frames out."""
