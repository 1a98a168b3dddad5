"""Recompute a stranger's numbers from a bundle, apart from this process."""
