"""Learning record store: xAPI statements, their attachments and their search."""
