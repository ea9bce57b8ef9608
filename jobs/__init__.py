"""When it happens: the command line, the night, simulation."""
