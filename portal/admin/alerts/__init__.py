"""Alerts of customers: what is watched, how it stands, in which words it is told, and what customers may."""

from flask import Blueprint


def blueprints() -> list[Blueprint]:
    """Those of alerts, and of their templates."""
    from portal.admin.alerts.editing import blueprint as forms
    from portal.admin.alerts.routes import blueprint as alerts

    return [alerts, forms]
