"""Published entries and their ledger."""
