"""Built-in data sets, one a file, and the readers they share."""
