"""Shared helpers without any theory; modules are imported by name."""
