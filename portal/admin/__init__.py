"""Staff screens, under /admin on the staff host."""

from flask import Blueprint


def blueprints() -> list[Blueprint]:
    """Every blueprint of this audience."""
    from portal.admin.styleguide.routes import blueprint as styleguide

    return [styleguide]
