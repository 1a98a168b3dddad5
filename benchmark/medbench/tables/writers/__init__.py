"""Writers of blocks and rows: lines of a terminal, Markdown, LaTeX, CSV and JSON; each exists once."""
