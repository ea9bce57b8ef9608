"""Screens of operators: deliveries and their endpoints, API keys, the audit log, imported data."""
