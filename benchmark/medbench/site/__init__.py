"""Published entries as static pages: files that need no server, no network and no script.

What stands in an entry was written by strangers. It reaches a page through :func:`medbench.site.texts.shown` and an
escaping template only, and every page forbids scripts, frames and anything from elsewhere.
"""
