"""The server assistants ask, in the Model Context Protocol: a process of its own, which nothing else loads."""
