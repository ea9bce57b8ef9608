"""What to study next: retrieve, blend, filter, explain, replay. Pure: frames in, frames out."""
