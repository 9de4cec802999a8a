"""Real text and the files it comes in: fetched, checked by hash, read."""
