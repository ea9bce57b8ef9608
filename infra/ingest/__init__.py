"""File imports: read, check, store, log."""
