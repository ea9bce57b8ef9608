"""Settings: one frozen object, from ``xuelu.toml`` and the environment, with a section for each subject."""
