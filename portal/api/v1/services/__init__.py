"""API v1: how services are, what staff state of them, and windows of scheduled service."""
