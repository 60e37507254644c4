"""API v1: everything a person can do for what is built so far, for machines, through the same actions.

`operations.py` is the one way in: it reads the request, calls the view, commits once and writes the answer.
"""

from flask import Blueprint


def blueprints() -> list[Blueprint]:
    """Every blueprint of this version, in the order of its reference page."""
    from portal.api.v1.reference.routes import blueprint as reference

    return [*resources(), reference]


def resources() -> list[Blueprint]:
    """The blueprints of resources, one each."""
    from portal.api.v1.accounts import contracts  # noqa: F401 (it adds its operations to that of companies)
    from portal.api.v1.accounts.companies import blueprint as companies
    from portal.api.v1.accounts.people import blueprint as people
    from portal.api.v1.alerts.alerts import blueprint as alerts
    from portal.api.v1.audit.routes import blueprint as audit
    from portal.api.v1.catalogue.components import blueprint as components
    from portal.api.v1.catalogue.groups import blueprint as groups
    from portal.api.v1.catalogue.holdings import blueprint as holdings
    from portal.api.v1.catalogue.services import blueprint as services
    from portal.api.v1.domains import hosts, wordings  # noqa: F401 (they add their operations to that of portals)
    from portal.api.v1.domains.announcements import blueprint as announcements
    from portal.api.v1.domains.portals import blueprint as portals
    from portal.api.v1.incidents import postmortems, told_apart  # noqa: F401 (they add theirs to that of incidents)
    from portal.api.v1.incidents.drafts import blueprint as incident_drafts
    from portal.api.v1.incidents.incidents import blueprint as incidents
    from portal.api.v1.incidents.maintenances import blueprint as maintenances
    from portal.api.v1.incidents.templates import blueprint as incident_templates
    from portal.api.v1.jobs.jobs import blueprint as jobs
    from portal.api.v1.jobs.quotes import blueprint as quotes
    from portal.api.v1.jobs.work_statuses import blueprint as work_statuses
    from portal.api.v1.notifications.broadcasts import blueprint as broadcasts
    from portal.api.v1.notifications.deliveries import blueprint as deliveries
    from portal.api.v1.notifications.subscribers import blueprint as subscribers
    from portal.api.v1.notifications.webhooks import blueprint as webhooks
    from portal.api.v1.questions.routes import blueprint as questions
    from portal.api.v1.services.availability import blueprint as availability
    from portal.api.v1.services.updates import blueprint as service_updates
    from portal.api.v1.services.windows import blueprint as service_windows
    from portal.api.v1.usage.call_records import blueprint as call_records
    from portal.api.v1.usage.metrics import blueprint as metrics
    from portal.api.v1.usage.samples import blueprint as samples

    return [
        incidents,
        incident_drafts,
        incident_templates,
        maintenances,
        announcements,
        components,
        groups,
        services,
        holdings,
        service_updates,
        service_windows,
        availability,
        questions,
        companies,
        people,
        portals,
        broadcasts,
        deliveries,
        subscribers,
        webhooks,
        jobs,
        quotes,
        work_statuses,
        metrics,
        samples,
        alerts,
        call_records,
        audit,
    ]
