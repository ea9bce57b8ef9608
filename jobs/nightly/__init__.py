"""Nightly run: from study logs to published push lists, in steps that can be resumed.

``night`` names the steps in order; ``steps`` times, records and saves each; ``gate`` holds back lists that look wrong.
"""
