"""Sentences and tables: what a terminal, a file and a report say of a result."""
