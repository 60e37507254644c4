"""Every door of customers and their machines, gathered from the app's own URL map by its declared audience."""

from collections.abc import Iterator

from flask import current_app

from portal.access import Audience, Declaration, declaration_of
from portal.accounts.rules.tokens import Right, Scope, right
from portal.jobs.proof import As, Door

WITHOUT_WORDS = {"public_view_as.begin": "only leads staff on to pages that are proven, and shows nothing itself"}
"""Endpoints that are left out, and why."""


def doors() -> list[Door]:
    """The doors a leak proof goes through. Whoever adds a route for customers need not think of it."""
    return list(_doors())


def _doors() -> Iterator[Door]:
    for rule in current_app.url_map.iter_rules():
        declaration = declaration_of(rule.endpoint)
        if declaration is None or "GET" not in (rule.methods or ()) or rule.endpoint in WITHOUT_WORDS:
            continue
        if asked_as := _asked_as(declaration):
            yield Door(rule.rule, asked_as)


def _asked_as(declaration: Declaration) -> tuple[As, ...]:
    """As whom the doors of an audience are asked; as nobody at all, where they are not for customers."""
    if declaration.audience is Audience.CUSTOMERS:
        return (As.CUSTOMER,)
    if declaration.audience in {Audience.ANYONE, Audience.MACHINES}:
        return (As.CUSTOMER, As.NOBODY, As.OUTSIDER)
    if declaration.resource and right(Scope.READ, declaration.resource, for_company=True) is not Right.NONE:
        return (As.MACHINE,)
    return ()
