"""Training loops of classifiers and segmentation networks."""
