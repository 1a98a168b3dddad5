"""Studies, their arms, and the trials they amount to, before anything is run."""
