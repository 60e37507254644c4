"""Staff screens, under /admin on the staff host."""

from flask import Blueprint


def blueprints() -> list[Blueprint]:
    """Every blueprint of this audience."""
    from portal.admin.account.policy import blueprint as sign_in
    from portal.admin.account.routes import blueprint as account
    from portal.admin.assistant.routes import blueprint as assistant
    from portal.admin.audit.routes import blueprint as audit
    from portal.admin.channels.routes import blueprint as channels
    from portal.admin.companies.routes import blueprint as companies
    from portal.admin.dashboard.routes import blueprint as dashboard
    from portal.admin.erasure.routes import blueprint as erasure
    from portal.admin.exports.routes import blueprint as exports
    from portal.admin.files.routes import blueprint as files
    from portal.admin.imports.routes import blueprint as imports
    from portal.admin.jobs.routes import jobs, quotes
    from portal.admin.leak_proof.routes import blueprint as leak_proof
    from portal.admin.messages.routes import blueprint as messages
    from portal.admin.my_work.routes import blueprint as my_work
    from portal.admin.operation.routes import blueprint as operation
    from portal.admin.operation.routes import notice as sending
    from portal.admin.people.routes import blueprint as people
    from portal.admin.portals.routes import blueprint as portals
    from portal.admin.preferences.routes import blueprint as preferences
    from portal.admin.quote_answers.routes import blueprint as quote_answers
    from portal.admin.relays.routes import blueprint as relays
    from portal.admin.retention.routes import blueprint as retention
    from portal.admin.search.routes import blueprint as search
    from portal.admin.settings.routes import blueprint as work_settings
    from portal.admin.styleguide.routes import blueprint as styleguide
    from portal.admin.templates.routes import blueprint as templates
    from portal.admin.tokens.routes import blueprint as tokens
    from portal.admin.work_sheet.routes import blueprint as work_sheet

    return [
        dashboard,
        account,
        sign_in,
        *_of_status(),
        my_work,
        jobs,
        quotes,
        quote_answers,
        companies,
        people,
        preferences,
        portals,
        relays,
        work_settings,
        templates,
        assistant,
        work_sheet,
        leak_proof,
        tokens,
        channels,
        operation,
        sending,
        imports,
        search,
        audit,
        exports,
        retention,
        erasure,
        styleguide,
        files,
        messages,
    ]


def _of_status() -> list[Blueprint]:
    """What is up, and who hears of it."""
    from portal.admin.alerts import blueprints as alerts
    from portal.admin.announcements.routes import blueprint as announcements
    from portal.admin.availability import blueprints as availability
    from portal.admin.bounces.routes import blueprint as bounces
    from portal.admin.broadcasts.notices.routes import blueprint as notices
    from portal.admin.broadcasts.routes import blueprint as broadcasts
    from portal.admin.calls.routes import blueprint as calls
    from portal.admin.catalogue.components.routes import blueprint as components
    from portal.admin.catalogue.components.status import blueprint as component_status
    from portal.admin.catalogue.services.routes import blueprint as services
    from portal.admin.incidents import blueprints as incidents
    from portal.admin.maintenances import blueprint as maintenances
    from portal.admin.metrics.routes import blueprint as metrics
    from portal.admin.monitors.routes import blueprint as monitors
    from portal.admin.services import blueprint as service_status
    from portal.admin.services.settings import blueprint as service_settings
    from portal.admin.subscribers import blueprint as subscribers
    from portal.admin.suppressions.routes import blueprint as suppressions

    return [
        *incidents(),
        maintenances,
        announcements,
        components,
        component_status,
        services,
        service_status,
        service_settings,
        *availability(),
        *alerts(),
        calls,
        metrics,
        monitors,
        broadcasts,
        notices,
        bounces,
        subscribers,
        suppressions,
    ]
