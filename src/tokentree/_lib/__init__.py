"""The ground floor: what every wing uses and nothing of the theory. Its files are imported by name."""
