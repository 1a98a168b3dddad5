"""The Python interface: run, plan and read studies; the command line is a thin layer over it."""
