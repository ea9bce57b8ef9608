"""Command line: a module for each group of commands, over shared options and output (``terminal``)."""
