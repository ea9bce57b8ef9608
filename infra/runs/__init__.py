"""Nightly runs as stored: their steps, lists and artefacts; experiments and trials.

``store`` writes and finds runs and lists. Artefacts are pickled outcomes of steps, in files, loaded only by the digest
that the database recorded.
"""
