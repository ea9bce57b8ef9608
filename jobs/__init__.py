"""Jobs: command line, imports, nightly run, delivery, evaluation."""
