"""Reports: their history, publishing, updating, and the way to both from every page."""
