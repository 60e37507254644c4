"""What holds for the whole tree: who commits, who is let in, what a template may hold."""

import re
from pathlib import Path

import pytest
from flask import Flask

from portal import access, events
from tests.conftest import REPOSITORY

CODE = [*sorted((REPOSITORY / "portal").rglob("*.py")), *sorted((REPOSITORY / "workers").rglob("*.py"))]
TEMPLATES = sorted((REPOSITORY / "portal" / "templates").rglob("*.html"))


def name(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


@pytest.mark.parametrize("path", CODE, ids=name)
def test_only_edges_commit_and_only_through_events(path: Path) -> None:
    """Actions, queries and mails never commit; routes, tasks and commands do it with `events.commit()`."""
    text = path.read_text(encoding="utf-8")
    if path.name != "events.py":
        assert "session.commit(" not in text
    if path.name in {"actions.py", "queries.py", "mails.py", "models.py", "rules.py"}:
        assert "events.commit(" not in text


@pytest.mark.parametrize("path", [path for path in CODE if path.name in {"actions.py", "queries.py"}], ids=name)
def test_actions_and_queries_take_the_viewer_and_the_time_as_arguments(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"\b(current_user|utcnow\(\)|flask\.request|flask\.session)\b", text)
    assert not re.search(r"from flask import .*\b(request|session|g)\b", text)


@pytest.mark.parametrize("path", [path for path in CODE if path.name == "routes.py"], ids=name)
def test_routes_hold_no_sql(path: Path) -> None:
    assert not re.search(r"from sqlalchemy import|db\.session\.(execute|scalars?|query|get)\(", path.read_text("utf-8"))


def test_every_route_says_who_it_is_for(app: Flask) -> None:
    undeclared = {rule.endpoint for rule in app.url_map.iter_rules() if access.declaration_of(rule.endpoint) is None}
    assert undeclared == set()


def test_every_woken_task_exists(app: Flask) -> None:
    from workers import tasks  # noqa: PLC0415 (workers must not be loaded for the other tests)

    called = {
        match for path in CODE for match in re.findall(r'events\.wake\(\s*"(\w+)"', path.read_text(encoding="utf-8"))
    }
    assert called
    assert {task for task in called if not callable(getattr(tasks, task, None))} == set()


@pytest.mark.parametrize("path", TEMPLATES, ids=name)
def test_nothing_stands_inline(path: Path) -> None:
    """No script bodies, styles or handlers: the content security policy would refuse them."""
    text = re.sub(r"{#.*?#}", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    if "mail" in path.parts:
        return
    assert not re.search(r"<style|\sstyle=|\son\w+=|hx-on|javascript:|<script(?![^>]*\bsrc=)", text)


@pytest.mark.parametrize("path", [path for path in TEMPLATES if path.name.startswith("_")], ids=name)
def test_a_fragment_has_one_root_named_after_its_file(path: Path) -> None:
    """So an `hx-target` can be read off the file name."""
    text = re.sub(r"{#.*?#}|{%.*?%}", "", path.read_text(encoding="utf-8"), flags=re.DOTALL).strip()
    root = re.match(r"<[\w-]+[^>]*?\sid=\"([^\"]+)\"", text)
    wanted = path.stem.removeprefix("_").replace("_", "-")
    assert root is not None
    assert root.group(1).split("-{{")[0] == wanted


def test_live_topics_have_short_names() -> None:
    """They stand in a column of 100 characters."""
    longest = events.session_topic("f" * 64)
    assert len(longest) <= 100


def test_only_leaving_a_list_and_what_a_server_signs_take_no_form_token(app: Flask) -> None:
    """One click of a mail program has no session; whatever else writes has a form of ours."""
    protection = app.extensions["csrf"]
    assert protection._exempt_views == {
        "portal.public.unsubscribe.routes.leave",
        "portal.public.inbound.routes.take_bounce",
        "portal.public.inbound.monitors.take_signals",
        "portal.api.v2.subscribers.subscribe",
    }
    of_tokens = {
        rule.endpoint.rpartition(".")[0]
        for rule in app.url_map.iter_rules()
        if (declared := access.declaration_of(rule.endpoint)) and declared.audience is access.Audience.TOKENS
    }
    assert {each.name for each in protection._exempt_blueprints} == of_tokens


@pytest.mark.parametrize("path", TEMPLATES, ids=name)
def test_templates_trust_no_text(path: Path) -> None:
    """What is markup comes as such from `filters.markdown`; a template says so only of its own constants."""
    text = path.read_text(encoding="utf-8").replace("{{ shapes[name]|safe }}", "")
    assert not re.search(r"\|\s*safe\b|autoescape", text)


@pytest.mark.parametrize("path", CODE, ids=name)
def test_text_is_declared_safe_in_few_places(path: Path) -> None:
    """Cleaned Markdown, and the error page that is shown when no template can be."""
    text = path.read_text(encoding="utf-8")
    if name(path) not in {"portal/filters.py", "portal/errors.py"}:
        assert "Markup(" not in text
    assert not re.search(r"render_template_string|\b(eval|exec)\(|\bpickle\b|yaml\.load\(|shell=True", text)
