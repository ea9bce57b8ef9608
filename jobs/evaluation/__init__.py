"""Backtests, tuning and previews of settings."""
