"""image_gans."""
