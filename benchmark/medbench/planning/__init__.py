"""Studies, their arms, and the matrix of trials they amount to, before anything is run."""
