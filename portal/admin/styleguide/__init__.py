"""The page that shows every macro in every state."""
