"""Reports: their history, publishing, updating, and the way to both from every page."""

from flask import Blueprint


def blueprints() -> list[Blueprint]:
    """Those of the reports themselves, their drafts, templates, and what is written down afterwards."""
    import portal.admin.incidents.after
    import portal.admin.incidents.ledger
    import portal.admin.incidents.merging
    import portal.admin.incidents.revisions  # noqa: F401 (each adds its own addresses to the blueprint)
    from portal.admin.incidents.beside import blueprint as beside
    from portal.admin.incidents.drafts import blueprint as drafts
    from portal.admin.incidents.past import blueprint as past
    from portal.admin.incidents.routes import blueprint as reports
    from portal.admin.incidents.templates import blueprint as templates

    return [reports, beside, drafts, templates, past]
