"""Real servers for tests: Redis, PostgreSQL, an SMTP server that misbehaves when told, the product, Chromium."""
