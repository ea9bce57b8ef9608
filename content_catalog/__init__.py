"""Catalogue of learning content: items, taxonomies, audiences, prerequisites, text. Pure: frames in, frames out."""
