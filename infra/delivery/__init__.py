"""Delivery of push lists: endpoints of study apps, the outbox of planned pushes, payloads and webhooks.

A published run plans pushes into the outbox. ``jobs.delivery`` claims those that are due and sends the lists as they
are shown at that moment.
"""
