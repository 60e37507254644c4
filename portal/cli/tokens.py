"""`portal create-token`: a token of the API from the command line."""

from datetime import timedelta

import click

from portal import clock, events
from portal.accounts.actions.tokens import make_token
from portal.accounts.models import Company
from portal.accounts.queries.tokens import companies_called
from portal.accounts.rules.tokens import SCOPE_WORDS, Scope
from portal.cli import Failure
from portal.cli.installation import COMMAND_LINE, load

SCOPES = "\n".join(["\b", *(f"{scope.value:<11}{words}" for scope, words in SCOPE_WORDS.items())])


@click.command(
    "create-token",
    help=f"Make a token of the API and print its secret, once, on standard output.\n\nScopes:\n\n{SCOPES}",
)
@click.option("--name", required=True, help="What uses it.")
@click.option("--scope", required=True, type=click.Choice([scope.value for scope in Scope]), help="What it may do.")
@click.option("--company", help="Name of a company: the token sees what its people could see, and only reads.")
@click.option("--expires-days", type=click.IntRange(1, 3650), help="Days until it ends; without it, when revoked.")
def create_token(name: str, scope: str, company: str | None, expires_days: int | None) -> None:
    app = load()
    with app.app_context():
        now = clock.utcnow()
        token, secret = make_token(
            name,
            Scope(scope),
            company=_company(company) if company else None,
            expires_at=now + timedelta(days=expires_days) if expires_days else None,
            by=COMMAND_LINE,
            now=now,
        )
        shown = token.name
        events.commit()
    click.echo(f"{shown} may use {app.config['SETTINGS'].base_url}/api/v1/ with this secret, shown only now:", err=True)
    click.echo(secret)


def _company(name: str) -> Company:
    found = companies_called(name)
    if not found:
        raise Failure(f"There is no company called {name}.")
    if len(found) > 1:
        raise Failure(f"Several companies are called like {name}: {', '.join(each.name for each in found)}.")
    return found[0]
