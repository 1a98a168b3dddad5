"""What a number was made by, as a digest: recipes, the code they reach, library versions."""
