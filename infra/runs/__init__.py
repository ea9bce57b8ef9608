"""Nightly runs, their steps, list contents and artefacts."""
