"""Customer screens, on the portal domains."""

from flask import Blueprint


def blueprints() -> list[Blueprint]:
    """Every blueprint of this audience."""
    from portal.customer.account.routes import blueprint as account
    from portal.customer.alerts.editing import blueprint as alert_forms
    from portal.customer.alerts.routes import blueprint as alerts
    from portal.customer.availability.routes import blueprint as availability
    from portal.customer.calendar.routes import blueprint as calendar
    from portal.customer.calls.routes import blueprint as calls
    from portal.customer.figures.routes import blueprint as figures
    from portal.customer.files.routes import blueprint as files
    from portal.customer.home.routes import blueprint as home
    from portal.customer.incidents.routes import blueprint as incidents
    from portal.customer.jobs.routes import blueprint as jobs
    from portal.customer.maintenances.routes import blueprint as maintenances
    from portal.customer.messages.routes import blueprint as messages
    from portal.customer.preferences.routes import blueprint as preferences
    from portal.customer.questions.routes import blueprint as questions
    from portal.customer.quotes.routes import blueprint as quotes
    from portal.customer.services.routes import blueprint as services
    from portal.customer.work_sheet.routes import blueprint as work_sheet

    return [
        account,
        alert_forms,
        alerts,
        availability,
        calendar,
        calls,
        figures,
        files,
        home,
        incidents,
        jobs,
        maintenances,
        messages,
        preferences,
        questions,
        quotes,
        services,
        work_sheet,
    ]
