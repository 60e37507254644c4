"""What machines read and write: our own resources (v1) and the Statuspage shape (v2)."""

from flask import Blueprint


def blueprints() -> list[Blueprint]:
    """Every blueprint of this audience."""
    from portal.api import v1
    from portal.api.v2.routes import blueprint as v2
    from portal.api.v2.subscribers import blueprint as v2_subscribers

    return [*v1.blueprints(), v2, v2_subscribers]
