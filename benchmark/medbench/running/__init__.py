"""The matrix is carried out: the order of jobs, what a job does, devices, retries."""
