"""Reports on an organisation: study, push rates, coverage, required study, experiments, data quality.

Figures of too few members are suppressed (``small_groups``).
"""
