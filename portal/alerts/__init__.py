"""When somebody is told that a figure crossed its line: alerts, how each stands, and what was said of it."""
