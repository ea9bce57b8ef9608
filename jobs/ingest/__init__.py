"""Import jobs, data-quality report and export of feature matrices."""
