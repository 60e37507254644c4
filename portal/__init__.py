"""Signalbox, the customer portal of a service business."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from portal.config import Settings


def create_app(settings: Settings | None = None) -> Flask:
    """Wire the parts together. Decides nothing.

    The imports stand inside, so that the rules, their tests and the live hub load none of this.
    """
    import os

    from flask import Flask
    from werkzeug.middleware.proxy_fix import ProxyFix

    from portal import (
        access,
        admin,
        api,
        assets,
        bodies,
        compiled,
        customer,
        errors,
        events,
        filters,
        headers,
        language,
        menus,
        public,
        shortcuts,
    )
    from portal.api.v2.cache import PublicDocuments
    from portal.config import Settings
    from portal.customer.home.polls import BannerPolls
    from portal.database import engine_options, prepare_engine
    from portal.extensions import csrf, db, htmx, mail, migrate
    from portal.public.status.cache import PublicPages
    from portal.public.status.formats import PublicFormats

    _make_known()
    settings = settings or Settings.from_environment(os.environ)
    app = Flask(__name__, static_folder=None)
    app.config.update(
        SETTINGS=settings,
        SECRET_KEY=settings.secret_key,
        SECRET_KEY_FALLBACKS=settings.secret_key_fallbacks,
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(settings.database_url),
        SESSION_COOKIE_NAME="__Host-form" if settings.is_https else "form",
        SESSION_COOKIE_SECURE=settings.is_https,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        WTF_CSRF_TIME_LIMIT=None,
        WTF_CSRF_HEADERS=["X-CSRFToken"],
        MAX_CONTENT_LENGTH=1_000_000,
        MAX_FORM_MEMORY_SIZE=500_000,
        MAX_FORM_PARTS=1000,
        BABEL_DEFAULT_LOCALE="en",
    )
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops)  # type: ignore[method-assign]
    db.init_app(app)
    with app.app_context():
        prepare_engine(db.engine)
    migrate.init_app(app, db, directory=os.path.join(app.root_path, "migrations"), render_as_batch=True)
    mail.init_app(app)
    htmx.init_app(app)
    language.init_app(app)
    events.init_app(app)
    errors.init_app(app)
    headers.init_app(app)
    bodies.init_app(app)
    access.init_app(app)
    csrf.init_app(app)
    assets.init_app(app)
    compiled.init_app(app)
    filters.init_app(app)
    menus.init_app(app)
    for audience in (admin, api, customer, public):
        for blueprint in audience.blueprints():
            app.register_blueprint(blueprint)
    shortcuts.init_app(app, PublicPages, PublicDocuments, PublicFormats, BannerPolls)
    return app


def _make_known() -> None:
    """Load what makes itself known further down: kinds of mail, what comes in, what goes out, what is forgotten."""
    import portal.accounts.exports
    import portal.accounts.forgetting
    import portal.catalogue.exports
    import portal.catalogue.forgetting
    import portal.catalogue.imports
    import portal.catalogue.notices.mails
    import portal.catalogue.topics
    import portal.domains.announcements.models
    import portal.domains.exports
    import portal.domains.imports
    import portal.files.exports
    import portal.files.forgetting
    import portal.incidents.exports
    import portal.incidents.forgetting
    import portal.incidents.hearing
    import portal.incidents.mails
    import portal.jobs.actions.importing
    import portal.jobs.exports
    import portal.jobs.forgetting
    import portal.jobs.mails
    import portal.jobs.subjects
    import portal.messages.exports
    import portal.messages.forgetting
    import portal.notifications.account_mails
    import portal.notifications.bounces.records
    import portal.notifications.channels.alarms
    import portal.notifications.channels.records
    import portal.notifications.exports
    import portal.notifications.forgetting
    import portal.notifications.subscribers.actions
    import portal.notifications.templates.models
    import portal.records.forgetting  # noqa: F401

    _make_services_known()


def _make_services_known() -> None:
    """The same of services, and of what is measured."""
    import portal.alerts.exports
    import portal.alerts.forgetting
    import portal.alerts.mails
    import portal.alerts.proof
    import portal.alerts.reporting
    import portal.services.asking
    import portal.services.exports
    import portal.services.forgetting
    import portal.services.models
    import portal.services.topics
    import portal.usage.calls.exports
    import portal.usage.calls.forgetting
    import portal.usage.forgetting  # noqa: F401
    from portal.notifications.subscribers import announcing, records  # noqa: F401 (they too)
    from portal.services import mails, merging  # noqa: F401 (and they)
