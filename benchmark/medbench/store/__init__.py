"""Results on disk, and whether they still are what was stored."""
