"""Contract of models: sample interactions, and the checks that every model passes on them."""
