"""What answers signed out: sign-in, public status, unsubscribe, health."""

from flask import Blueprint


def blueprints() -> list[Blueprint]:
    """Every blueprint of this audience."""
    from portal.public.accounts.links import blueprint as links
    from portal.public.accounts.routes import blueprint as accounts
    from portal.public.badge.routes import blueprint as badge
    from portal.public.calendar.routes import blueprint as calendar
    from portal.public.calendar.routes import own as own_calendar
    from portal.public.domains.routes import blueprint as domains
    from portal.public.embed.routes import blueprint as embed
    from portal.public.feeds.routes import blueprint as feeds
    from portal.public.health.routes import blueprint as health
    from portal.public.inbound.monitors import blueprint as monitors
    from portal.public.inbound.routes import blueprint as inbound
    from portal.public.incidents.routes import blueprint as incidents
    from portal.public.live.routes import blueprint as live
    from portal.public.maintenances.routes import blueprint as maintenances
    from portal.public.metrics.routes import blueprint as metrics
    from portal.public.status.routes import blueprint as status
    from portal.public.subscribe.routes import blueprint as subscribe
    from portal.public.unsubscribe.routes import blueprint as unsubscribe
    from portal.public.view_as.routes import blueprint as view_as

    return [
        accounts,
        badge,
        calendar,
        domains,
        embed,
        feeds,
        health,
        inbound,
        incidents,
        links,
        live,
        maintenances,
        metrics,
        monitors,
        own_calendar,
        status,
        subscribe,
        unsubscribe,
        view_as,
    ]
