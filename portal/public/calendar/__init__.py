"""Planned work for calendar programs: the public feed, and each company’s own at its secret address."""
