"""Recommendation: retrieve, rank, filter, explain, evaluate. Pure: frames in, frames out."""
