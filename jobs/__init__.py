"""Jobs: imports, the nightly run, delivery and evaluation, and the command line that starts them."""
