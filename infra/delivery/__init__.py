"""Delivery outbox, endpoints, payloads, webhooks and the SSRF guard."""
