"""Customer screens, on the portal domains."""

from flask import Blueprint


def blueprints() -> list[Blueprint]:
    """Every blueprint of this audience."""
    from portal.customer.account.routes import blueprint as account
    from portal.customer.files.routes import blueprint as files
    from portal.customer.home.routes import blueprint as home
    from portal.customer.jobs.routes import blueprint as jobs
    from portal.customer.messages.routes import blueprint as messages
    from portal.customer.preferences.routes import blueprint as preferences
    from portal.customer.quotes.routes import blueprint as quotes
    from portal.customer.services.routes import blueprint as services
    from portal.customer.work_sheet.routes import blueprint as work_sheet

    return [account, files, home, jobs, messages, preferences, quotes, services, work_sheet]
