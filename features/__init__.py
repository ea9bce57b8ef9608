"""What members did: events, their quality, the evidence in them, member profiles. Pure: frames in, frames out."""
