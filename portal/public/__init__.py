"""What answers signed out: sign-in, public status, unsubscribe, health."""

from flask import Blueprint


def blueprints() -> list[Blueprint]:
    """Every blueprint of this audience."""
    return []
