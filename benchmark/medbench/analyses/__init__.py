"""What is computed over whole boards: one file per question."""
