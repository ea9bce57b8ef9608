"""Offline evaluation: metrics, backtests, comparisons."""
