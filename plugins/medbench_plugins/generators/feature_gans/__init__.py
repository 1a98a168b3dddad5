"""GANs of features: networks, loop and recipe."""
