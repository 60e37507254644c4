"""Alerts of customers: what is watched, how it stands, in which words it is told, and what customers may."""

from flask import Blueprint


def blueprints() -> list[Blueprint]:
    """Those of alerts, and of their templates."""
    from portal.admin.alerts.editing import blueprint as forms
    from portal.admin.alerts.rights import blueprint as rights
    from portal.admin.alerts.routes import blueprint as alerts
    from portal.admin.alerts.templates import blueprint as templates

    return [alerts, forms, templates, rights]
