"""Study events, interaction weights and member profiles. Pure: frames in, frames out."""
