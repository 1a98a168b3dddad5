"""A run as one file that a stranger can check, and the ledger of what was checked.

A bundle holds what was predicted, never labels, patients or pictures. Whoever verifies it brings the data set, cuts it
anew and computes every number again.
"""
