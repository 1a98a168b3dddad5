"""Maps of images, drawn at random in training."""
