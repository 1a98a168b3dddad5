"""GANs of images: networks, losses, loop and recipe."""
