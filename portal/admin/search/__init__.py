"""`/admin/search`: everything staff may open, found by what it is called."""
