"""Jobs, quotes and their work statuses over the API; `work.py` and `messages.py` hold what both kinds share."""
