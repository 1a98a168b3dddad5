"""feature_gans."""
