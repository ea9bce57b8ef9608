"""Commands for analysts: coverage, experiments, exports, own models, reports and trials."""
