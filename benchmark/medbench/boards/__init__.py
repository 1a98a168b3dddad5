"""Stored trials become cells, gains and boards."""
