"""Reports: analytics, data quality, push rates, Prometheus gauges."""
