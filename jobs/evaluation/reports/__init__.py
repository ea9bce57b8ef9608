"""Reports of backtests, searches of settings and nights, as pages with charts."""
