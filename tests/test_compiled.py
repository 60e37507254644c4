"""Compiled templates: read by the next process, forgotten with the code they are of, and never in the way."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask, render_template

from portal import compiled
from portal.config import Settings

Make = Callable[[], Flask]


@pytest.fixture
def make(tmp_path: Path, settings: Settings) -> Make:
    """Makes the process after the last: an app that has compiled nothing yet, of a small program of its own."""
    program = tmp_path / "program"
    (program / "templates").mkdir(parents=True)
    (program / "templates" / "page.txt").write_text("Hello {{ name }}{{ '!'|upper }}")
    (program / "filters.py").write_text("# as it was\n")

    def made() -> Flask:
        app = Flask("program", root_path=str(program))
        app.config["SETTINGS"] = replace(settings, instance=tmp_path / "instance")
        compiled.init_app(app)
        return app

    return made


def rendered(app: Flask) -> str:
    with app.test_request_context():
        return render_template("page.txt", name="you")


def kept(folder: Path) -> list[Path]:
    return sorted(folder.glob("instance/compiled/*/*.code"))


def test_the_next_process_compiles_nothing(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert rendered(make()) == "Hello you!"
    assert len(kept(tmp_path)) == 1
    following = make()
    monkeypatch.setattr(following.jinja_env, "_generate", None)
    assert rendered(following) == "Hello you!"


def test_a_template_that_has_changed_is_compiled_anew(make: Make, tmp_path: Path) -> None:
    rendered(make())
    (tmp_path / "program" / "templates" / "page.txt").write_text("Goodbye {{ name }}")
    assert rendered(make()) == "Goodbye you"


def test_with_the_code_goes_what_was_compiled_for_it(make: Make, tmp_path: Path) -> None:
    rendered(make())
    (before,) = kept(tmp_path)
    os.utime(tmp_path / "program" / "filters.py", (1, 1))
    following = make()
    following.jinja_env.filters["upper"] = lambda text: "?"
    assert rendered(following) == "Hello you?"
    (after,) = kept(tmp_path)
    assert after.parent != before.parent


@pytest.mark.parametrize("content", [b"", b"nonsense", "half"])
def test_what_is_damaged_is_compiled_anew(make: Make, tmp_path: Path, content: bytes | str) -> None:
    rendered(make())
    (file,) = kept(tmp_path)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2] if isinstance(content, str) else content)
    assert rendered(make()) == "Hello you!"
    assert file.read_bytes() == whole


def test_where_nothing_can_be_kept_pages_are_made_all_the_same(make: Make, tmp_path: Path) -> None:
    (tmp_path / "instance").write_text("no folder")
    assert rendered(make()) == "Hello you!"


def test_a_folder_that_goes_away_is_no_trouble(make: Make, tmp_path: Path) -> None:
    app = make()
    (tmp_path / "instance" / "compiled").rename(tmp_path / "gone")
    assert rendered(app) == "Hello you!"
