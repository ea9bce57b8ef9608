"""Hours of study and push windows."""
