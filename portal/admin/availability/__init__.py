"""`/admin/availability` and the rule behind it: what each company had in a month, and what is agreed."""

from flask import Blueprint


def blueprints() -> list[Blueprint]:
    """The ledger, and the settings it is counted by."""
    from portal.admin.availability.routes import blueprint as ledger
    from portal.admin.availability.settings import blueprint as rule

    return [ledger, rule]
