"""One file with predictions and records of a study: how it is written and read."""
