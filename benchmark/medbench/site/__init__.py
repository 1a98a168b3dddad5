"""Published entries as static pages: files that need no server and no network; a script only sorts and filters.

What stands in an entry was written by strangers. It reaches a page through :func:`.safe_text` and an
escaping template only, and every page forbids frames, anything from elsewhere, and every script but that one file.
"""
