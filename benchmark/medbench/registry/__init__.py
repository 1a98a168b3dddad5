"""Plugins: hooks, what they register, and recipes by name."""
