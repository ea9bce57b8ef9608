"""What to study next: retrieve, blend, filter, explain, evaluate. Pure: frames in, frames out."""
