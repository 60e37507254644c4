"""What machines read and write: our own resources (v1) and the Statuspage shape (v2)."""
