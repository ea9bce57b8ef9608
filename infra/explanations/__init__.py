"""Explanations of lists: what the ranking is made of, why items are left out, and why a list changed.

Nothing is stored for them: the models of the run compute the list again.
"""
