"""tokentree."""
