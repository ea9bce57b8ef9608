"""Study events, interaction weights, data quality and member profiles. Pure: frames in, frames out."""
