"""Export of lists, events and outcomes as a star schema."""
