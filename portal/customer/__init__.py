"""Customer screens, on the portal domains."""

from flask import Blueprint


def blueprints() -> list[Blueprint]:
    """Every blueprint of this audience."""
    from portal.customer.account.routes import blueprint as account
    from portal.customer.home.routes import blueprint as home
    from portal.customer.preferences.routes import blueprint as preferences
    from portal.customer.services.routes import blueprint as services

    return [account, home, preferences, services]
