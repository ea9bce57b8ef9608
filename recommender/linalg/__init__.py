"""Numerical routines: top-k, factor fold-in, closed-form EASE."""
