"""Addresses are those that Werkzeug builds, though ours are made ready when they are first asked for."""

from flask import Flask
from werkzeug.routing import Map, MapAdapter, Rule

from portal.access import Route

VALUES = {"q": "ä b", "page": 2, "tag": ["one", "two"]}
"""What no path takes goes behind the question mark."""


def addresses(app: Flask, kind: type[Rule]) -> MapAdapter:
    """Every rule of the product as one of this kind."""
    rules = [
        kind(rule.rule, endpoint=f"{number} {rule.endpoint}", methods=rule.methods, defaults=rule.defaults)
        for number, rule in enumerate(app.url_map.iter_rules())
    ]
    return Map(rules, converters=app.url_map.converters).bind("admin.portal.test")


def test_every_route_builds_the_address_that_werkzeug_would(app: Flask) -> None:
    ours, theirs = addresses(app, Route), addresses(app, Rule)
    assert {type(rule) for rule in app.url_map.iter_rules()} == {Route}
    for rule in theirs.map.iter_rules():
        # A path that names one of a few takes none but those.
        own = {name: next(iter(getattr(each, "items", [7]))) for name, each in rule._converters.items()}
        values = {**own, **VALUES}
        for append_unknown in (True, False):
            built = [each.build(rule.endpoint, values, append_unknown=append_unknown) for each in (ours, theirs, ours)]
            assert built == [built[0]] * 3, rule
            assert ("?" in built[0]) is append_unknown
