"""Policy: rules applied to ranked lists, in a fixed order."""
