"""Evaluation: backtests, searches of settings, previews of other settings, and estimates from logged lists."""
