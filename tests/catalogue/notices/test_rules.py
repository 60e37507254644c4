"""What may stand in a notice, and how its variables survive Markdown."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.catalogue.notices.letters import beginning_of, body_of, filled, filled_body, one_form
from portal.catalogue.notices.rules import (
    BODY_LENGTH,
    VARIABLES,
    Chosen,
    check_placeholders,
)
from portal.notifications.templates.placeholders import (
    PLACEHOLDERS_AT_MOST,
    WordingError,
    keep_placeholders,
    placeholders,
)

LITERAL = ["${7*7}", "#{7*7}", "<%= 7*7 %>", "}} closed", "{ {name} }", "{name}", "{{name}} {", "100 % {"]


@pytest.mark.parametrize("name", list(VARIABLES))
@pytest.mark.parametrize("space", ["", " ", "\t"])
def test_every_variable_may_stand_anywhere(name: str, space: str) -> None:
    text = f"a{{{{{space}{name}{space}}}}}b"
    check_placeholders(text)
    assert placeholders(text) == [name]
    assert one_form(text) == f"a{{{{{name}}}}}b"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{{ 7*7 }}", "no variable “7*7”"),
        ("{{7*'7'}}", "no variable “7*'7'”"),
        ("{{ config }}", "no variable “config”"),
        ("{{ customer.__class__ }}", "no variable “customer.__class__”"),
        ('{{ env "DATABASE_URL" }}', "no variable “env"),
        ("{{ Name }}", "no variable “Name”"),
        ("{{}}", "no variable “”"),
        ("{% for x in y %}", "“{%” is of a template language"),
        ("{# note #}", "“{#” is of a template language"),
        ("Dear {{name", "not closed"),
        ("{{ na\r\nme }}", "no variable “na me”"),
        ("{{ name\n}}", "no variable “name”"),
        ("{{{{name}}}}", "not closed"),
        ("{{{name}}}", "not closed"),
    ],
)
def test_i05_i06_i09_what_is_no_variable_is_refused_with_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(WordingError, match=re.escape(sentence)):
        check_placeholders(text)


@pytest.mark.parametrize("text", LITERAL)
def test_i05_what_other_languages_would_run_is_only_text(text: str) -> None:
    check_placeholders(text)
    assert "49" not in "".join(body_of(text))


def test_i09_no_text_takes_long() -> None:
    for text in (
        "{{" * (BODY_LENGTH // 2),
        "{" * BODY_LENGTH,
        "{{name" * (BODY_LENGTH // 6),
        "{{name}}" * (BODY_LENGTH // 8),
        "z" + "q" * (BODY_LENGTH - 9) + "{{name}}",
        "[" * BODY_LENGTH,
        ">" * BODY_LENGTH,
        "*a" * (BODY_LENGTH // 2),
    ):
        began = time.process_time()
        try:
            check_placeholders(text)
            body_of(text)
        except WordingError:
            pass
        assert time.process_time() - began < 1
    with pytest.raises(WordingError, match=f"{PLACEHOLDERS_AT_MOST} can be filled"):
        check_placeholders("{{name}}" * (PLACEHOLDERS_AT_MOST + 1))


@given(
    st.lists(st.sampled_from([*(f"{{{{{name}}}}}" for name in VARIABLES), "zq", "z", "q0x", "zqx0x", "é", "\n", "a "]))
)
def test_marks_come_back_as_what_they_stood_for(parts: list[str]) -> None:
    text = "".join(parts)
    kept = keep_placeholders(text)
    assert "{{" not in kept.text
    assert kept.back(kept.text) == text


def test_variables_survive_markdown_in_both_parts() -> None:
    html, text = body_of("Dear **{{name}}**,\n\n* _{{company}}_\n* [here]({{portal_url}}/services)\n\n`{{brand}}`")
    assert "<strong>{{name}}</strong>" in html
    assert "<em>{{company}}</em>" in html
    assert 'href="{{portal_url}}/services"' in html
    assert "<code>{{brand}}</code>" in html
    assert text == "Dear {{name}},\n\n- {{company}}\n- here ({{portal_url}}/services)\n\n{{brand}}"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[x]({{name}})", "cannot lead to {{name}}"),
        ("[x](https://evil.test/?{{address}})", "cannot lead to {{address}}"),
        ("<https://{{company}}.test>", "cannot lead to {{company}}"),
        ("[x](https://evil.test/{{portal_url}})", "only stand at the beginning"),
        ("[x][y]\n\n[y]: {{services}}", "cannot lead to {{services}}"),
    ],
)
def test_a_readers_name_never_says_where_a_link_leads(text: str, sentence: str) -> None:
    with pytest.raises(WordingError, match=re.escape(sentence)):
        body_of(text)


def test_values_are_text_in_html_and_never_filled_again() -> None:
    wording = {"subject": "Hi {{name}}", "text": "{{name}} {{company}}", "html": "<p>{{name}} {{unknown}}</p>"}
    values = {"name": "<b>{{company}}</b>\nx", "company": "Alder"}
    found = filled(wording, values)
    assert found["html"] == "<p>&lt;b&gt;{{company}}&lt;/b&gt;<br>x {{unknown}}</p>"
    assert found["text"] == "<b>{{company}}</b>\nx Alder"
    body = filled_body(body_of("**{{name}}** & {{services}}")[0], values)
    assert body == "<p><strong>&lt;b&gt;{{company}}&lt;/b&gt;\nx</strong> &amp; {{services}}</p>\n"


@given(st.text(alphabet="ab {}", max_size=160).map(lambda text: text.replace("{{", "{") + " {{portal_url}} tail" * 6))
def test_the_beginning_tears_no_variable_apart(text: str) -> None:
    found = beginning_of(text)
    assert "{{" not in found or "}}" in found[found.rindex("{{") :]


def test_a_choice_is_stored_and_read_back() -> None:
    chosen = Chosen.of(companies=[3, 1, 3], domains=[2])
    assert chosen == Chosen(False, (1, 3), (), (), (2,))
    assert Chosen.read(chosen.stored()) == chosen
    assert Chosen().is_nobody
    assert not Chosen(everyone=True).is_nobody
