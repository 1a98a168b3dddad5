"""Layers, small networks and their weights."""
