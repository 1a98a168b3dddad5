"""Look-alikes of the built-in data sets: procedurally drawn images, written as files in the real layouts."""
