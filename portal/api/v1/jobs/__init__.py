"""Jobs, quotes and their work statuses over the API; `both.py` has the operations jobs and quotes share."""
