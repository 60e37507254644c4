"""Beginning an installation and keeping its tables up to date: init, migrate, create-admin, demo."""

import logging
import os
import sys
from functools import partial
from pathlib import Path

import click
from flask import Flask
from flask_migrate import upgrade
from sqlalchemy import select

from portal import clock, create_app, events
from portal.accounts import actions as accounts
from portal.accounts.models import Membership, Person
from portal.accounts.rules import Role
from portal.audit.rules import Actor
from portal.cli import Failure
from portal.cli.loading import for_good
from portal.config import Settings, create_secret_key
from portal.database import read_only
from portal.domains import actions as domains
from portal.domains.models import Admission
from portal.domains.queries import all_domains
from portal.domains.rules import BUILT_AREAS, Area
from portal.extensions import db
from portal.operation.queries import schema_state
from portal.operation.rules import Schema, schema_finding

COMMAND_LINE = Actor("command line")


@click.command()
@click.option("--portal", "portal_url", help="Address of a first portal domain, such as https://status.example.com.")
@click.option("--brand", help="Name that customers read on it.")
@click.option(
    "--area",
    "areas",
    multiple=True,
    type=click.Choice([area.value for area in BUILT_AREAS]),
    help="Open this access area on it; may be given several times. Without it every area is off.",
)
def init(portal_url: str | None, brand: str | None, areas: tuple[str, ...]) -> None:
    """Begin an installation: instance folder, secret key, tables and, if named, a first portal domain.

    Running it again changes nothing that is there.
    """
    if bool(portal_url) != bool(brand):
        raise click.UsageError("--portal and --brand belong together.")
    if areas and not portal_url:
        raise click.UsageError("--area needs --portal and --brand.")
    app = prepare()
    with app.app_context():
        if portal_url and brand:
            opened = [Area(area) for area in areas]
            domain = domains.add_domain(portal_url, brand, areas=opened, by=COMMAND_LINE, now=clock.utcnow())
            click.echo(f"{domain.brand} is a portal domain at {domain.base_url}.")
            events.commit()
    settings: Settings = app.config["SETTINGS"]
    click.echo(f"Ready: {settings.instance}. Next: `portal create-admin --email you@example.com`, then `portal up`.")


@click.command()
def migrate() -> None:
    """Bring the tables to this version. Running it again does nothing; two at once wait for each other."""
    app = load()
    with app.app_context():
        bring_to_head()
    click.echo("The tables are those of this version.")


@click.command("create-admin")
@click.option("--email", required=True, help="Address to sign in with.")
@click.option("--name", help="Name as colleagues read it; without it the part of the address before the @.")
@click.option("--password-stdin", is_flag=True, help="Read the password from the first line of standard input.")
def create_admin(email: str, name: str | None, *, password_stdin: bool) -> None:
    """Add a person with every right. Asks for the password unless it comes by standard input."""
    if password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = click.prompt("Password (12 characters or more)", hide_input=True, confirmation_prompt=True)
    if not password:
        raise click.UsageError("There is no password on standard input.")
    app = load()
    with app.app_context():
        shown = name or email.partition("@")[0]
        person = accounts.add_person(
            shown, email, by=COMMAND_LINE, now=clock.utcnow(), role=Role.ADMIN, password=password
        )
        added = person.email
        events.commit()
    click.echo(f"{added} can sign in with every right at {app.config['SETTINGS'].base_url}/admin/.")


@click.command()
@click.option("--port", envvar="PORT", default=8000, show_default=True, help="Port at which the demo's portals answer.")
def demo(port: int) -> None:
    """Prepare an installation and, only where the database is empty, fill it with a demo business.

    The addresses of demo portals (host names in .localhost) are brought to the port.
    """
    os.environ.setdefault("PORTAL_BASE_URL", f"http://localhost:{port}")
    app = prepare()
    with app.app_context():
        _load_demo(port)
        _move_demo_portals(port)
        events.commit()
        _show_sign_ins(port)


def prepare() -> Flask:
    """An app whose instance folder, secret key and tables are there."""
    instance = Path(os.environ.get("PORTAL_INSTANCE") or "instance").resolve()
    instance.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not os.environ.get("PORTAL_SECRET_KEY"):
        create_secret_key(instance)
    app = load()
    with app.app_context():
        bring_to_head()
    return app


def load() -> Flask:
    """An app for a command, which may write; its connections are closed when the command ends."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # A command often runs before the embedded Redis does; nobody waits for its bells then.
    logging.getLogger("portal.events").setLevel(logging.ERROR)
    read_only.set(False)
    with for_good():
        app = create_app()
    if context := click.get_current_context(silent=True):
        context.find_root().call_on_close(partial(_hang_up, app))
    return app


def _hang_up(app: Flask) -> None:
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


def bring_to_head() -> None:
    """Run the migrations that are missing, one process at a time; SQLite data is copied first."""
    if (found := _schema()) is Schema.BEHIND:
        upgrade()
        found = _schema()
    if found is Schema.AHEAD:
        raise Failure(schema_finding(found).text.capitalize())
    if found is not Schema.OK:
        raise Failure("The tables could not be brought to this version; `portal doctor` says more.")


def is_at_head() -> bool:
    """Whether the tables are those of this version. Needs an app context."""
    return _schema() is Schema.OK


def _schema() -> Schema:
    """How the tables stand to this version, looked at without taking the lock for writing."""
    was_read_only = read_only.get()
    read_only.set(True)
    try:
        return schema_state()
    finally:
        read_only.set(was_read_only)
        db.session.remove()
        db.engine.dispose()


def _load_demo(port: int) -> None:
    from portal.cli import demo as business

    if not business.is_empty():
        return
    click.echo("Making a demo business in the empty database:")
    started = clock.utcnow()
    business.load(started, port=port, progress=lambda step: click.echo(f"  {step}"))
    click.echo(f"Made in {(clock.utcnow() - started).total_seconds():.0f} s.")


def _move_demo_portals(port: int) -> None:
    """Demo portals keep the port they were made with in their links; a real portal is never touched."""
    for domain in all_domains():
        if domain.host.endswith(".localhost"):
            domain.base_url = f"http://{domain.host}:{port}"


def _show_sign_ins(port: int) -> None:
    from portal.cli import demo as business

    portals = [domain for domain in all_domains() if domain.host.endswith(".localhost")]
    if not portals:
        return
    lines = [
        ("Staff", f"http://localhost:{port}/admin/", ", ".join(business.STAFF)),
        *((domain.brand, domain.base_url, ", ".join(_customers_of(domain.id))) for domain in portals),
        ("Mail", f"http://localhost:{port + 2}", "what the demo sends"),
    ]
    names, addresses = (max(len(line[column]) for line in lines) for column in (0, 1))
    click.echo("")
    for name, address, people in lines:
        click.echo(f"{name:<{names}}  {address:<{addresses}}  {people}")
    click.echo(f"The password of all of them is {business.PASSWORD}\n")


def _customers_of(domain_id: int) -> list[str]:
    """The addresses of a few customers at home on this domain, for the list of sign-ins."""
    found = db.session.scalars(
        select(Person.email)
        .join(Membership, Membership.person_id == Person.id)
        .join(Admission, Admission.company_id == Membership.company_id)
        .where(Admission.domain_id == domain_id, Admission.is_home, Person.email.like("customer@%"))
        .order_by(Person.id)
        .limit(2)
    )
    return list(found)
