"""Nightly batch run: from study logs to published push lists."""
