"""What answers signed out: sign-in, public status, unsubscribe, health."""

from flask import Blueprint


def blueprints() -> list[Blueprint]:
    """Every blueprint of this audience."""
    from portal.public.accounts.links import blueprint as links
    from portal.public.accounts.routes import blueprint as accounts
    from portal.public.domains.routes import blueprint as domains
    from portal.public.health.routes import blueprint as health
    from portal.public.inbound.routes import blueprint as inbound
    from portal.public.incidents.routes import blueprint as incidents
    from portal.public.live.routes import blueprint as live
    from portal.public.status.routes import blueprint as status
    from portal.public.unsubscribe.routes import blueprint as unsubscribe
    from portal.public.view_as.routes import blueprint as view_as

    return [accounts, domains, health, inbound, incidents, links, live, status, unsubscribe, view_as]
