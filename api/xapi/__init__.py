"""xAPI statement resource over HTTP."""
