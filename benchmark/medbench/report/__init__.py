"""A run as one document: sections of plain blocks, written as a page, as Markdown or as LaTeX."""
