"""Built-in augmenters, generators, classifiers, metrics and executors."""
