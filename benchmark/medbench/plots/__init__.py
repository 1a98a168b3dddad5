"""Figures: one module each, drawn by matplotlib from the same values as the tables."""
