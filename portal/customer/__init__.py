"""Customer screens, on the portal domains."""

from flask import Blueprint


def blueprints() -> list[Blueprint]:
    """Every blueprint of this audience."""
    return []
