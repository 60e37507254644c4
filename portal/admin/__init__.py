"""Staff screens, under /admin on the staff host."""

from flask import Blueprint


def blueprints() -> list[Blueprint]:
    """Every blueprint of this audience."""
    from portal.admin.broadcasts.routes import blueprint as broadcasts
    from portal.admin.dashboard.routes import blueprint as dashboard
    from portal.admin.incidents.routes import blueprint as incidents
    from portal.admin.styleguide.routes import blueprint as styleguide

    return [dashboard, incidents, styleguide, broadcasts]
