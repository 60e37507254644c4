"""What a mail or a text about an alert says: the variables there are, our own words, and a broadcast's wordings."""

import html as html_module
import re
from collections.abc import Mapping
from typing import NamedTuple

from flask import render_template
from flask_babel import force_locale
from flask_babel import gettext as _

from portal.alerts.facts import Facts
from portal.alerts.models import AlertTemplate
from portal.alerts.rules import Happening, gsm
from portal.alerts.words import (
    calls_behind,
    is_plain_script,
    line_of,
    name_of,
    normal_again,
    short_name_of,
    state_word,
    what_happened,
)
from portal.catalogue.notices.letters import beginning_of
from portal.filters import full_duration, look
from portal.language import LANGUAGES
from portal.notifications.kinds import Content, wording_key
from portal.notifications.rules import HeaderError, header_text
from portal.notifications.templates.placeholders import WordingError, check_placeholders, filled, harmless, on_one_line
from portal.notifications.templates.rules import FieldError, Template, Words, checked, cleaned, told
from portal.notifications.wordings import rendered

STAFF = "s"
"""The variant of a wording for the staff: its link leads to their screen."""

SMS_AT_MOST = 300
"""Characters of a text in staff's own words: two messages, where all of it is in the alphabet of GSM."""

SUBJECT_AT_MOST = 180

VARIABLES: Mapping[str, str] = {
    "state": "what is told, in a word: Alert, Still, Normal again, Unstable or Report",
    "alert": "the title of the alert",
    "what_happened": "one sentence on what happened",
    "company": "the company it is about",
    "level": "how much it matters: to know, warning or critical",
    "metric": "what is watched, with its trunk or service",
    "value": "the value, with its unit",
    "line": "when it is bad, such as “below 30 %”",
    "threshold": "the threshold alone, with its unit",
    "measured_at": "when the value was measured; in the reader’s own time zone, with the zone named",
    "since": "since when it is, or was, beyond its line; in the reader’s own time zone",
    "lasted": "how long it lasted, once it is normal again",
    "calls": "the number of calls behind the figure, and of how long",
    "balance": "the balance, where the alert is about money",
    "available_credit": "the available credit, where the alert is about money",
    "normal_again": "what “normal again” means",
    "alert_url": "the address of the alert on the reader’s portal",
    "report_url": "where a problem is reported with these facts filled in, where the reader’s portal takes messages",
    "portal_url": "the address of the reader’s portal",
    "name": "the reader’s name, if it is known",
    "address": "the reader’s e-mail address",
    "brand": "the brand of the reader’s portal",
    "support": "one sentence on how to reach you, as the portal has it",
    "unsubscribe_url": "the reader’s own way off this alert; it stands under every mail anyway",
}
"""Everything that may stand in double braces, and what it becomes."""

OF_READERS = frozenset({"measured_at", "since"})
"""Variables that differ from reader to reader, beside those every mail has."""

OF_TEXTS = frozenset(VARIABLES) - {"support", "unsubscribe_url", "address", "name"}
"""What a text message may say."""

LINKABLE = frozenset({"portal_url", "alert_url", "report_url", "unsubscribe_url"})


def built_in(language: str) -> Words:
    """Our own words, in a language."""
    with force_locale(language):
        subject, text, html = (
            render_template(f"mail/alert_built_in/alert.{part}").strip() for part in ("subject.txt", "txt", "html")
        )
    return Words(subject, text, html)


TEMPLATE = Template(
    name="alert",
    label="Alert",
    meaning="when an alert is triggered, said again, normal again or unstable, and when it reports",
    variables=VARIABLES,
    builtin=built_in,
    linkable=LINKABLE,
    of_many_lines=frozenset({"support"}),
)
"""By what own words are checked; it stands in no list, since staff keep as many templates for alerts as they like."""


class Own(NamedTuple):
    """Staff's own words as they stand in a template: `sms` may be empty, and then our own are texted."""

    subject: str
    text: str
    html: str
    sms: str = ""


def own_of(template: AlertTemplate | None) -> Own | None:
    """The words of a template, None where there is none to use."""
    if template is None or template.archived_at is not None:
        return None
    return Own(template.subject, template.text, template.html, template.sms)


# What a broadcast says


def content_of(facts: Facts, own: Own | None, *, has_messages: bool, is_test: bool = False) -> Content:
    """The wordings of a broadcast, in every language and once more for staff. WordingError where own words do not do.

    `has_messages` says that problems can be reported on the company's portal.
    """
    content: Content = {}
    for language in LANGUAGES:
        with force_locale(language):
            for variant in ("", STAFF):
                content[wording_key(language, None, variant)] = _wording(
                    facts, own, language, variant, has_messages=has_messages, is_test=is_test
                )
    return content


def _wording(
    facts: Facts, own: Own | None, language: str, variant: str, *, has_messages: bool, is_test: bool
) -> dict[str, str]:
    words = built_in(language)
    if own is not None:
        words = checked(TEMPLATE, Words(own.subject, own.text, own.html or html_of(own.text)))
    links = links_of(facts, variant, has_messages=has_messages)
    said = told(words, values_of(facts), rich={}, links=links, empty=_empty(facts))
    subject = _subject(said.subject, mark="[TEST] " if is_test else "")
    return {
        **rendered(
            "alert",
            {
                "subject": subject,
                "body_text": said.text,
                "body_html": cleaned(said.html),
                "beginning": beginning_of(said.text),
                "tone": tone_of(facts),
                "title": harmless(on_one_line(facts.alert.title)),
                "is_test": is_test,
                **links,
            },
        ),
        "brief": "{{sms}}",
    }


def html_of(text: str) -> str:
    """A text as HTML: its paragraphs and lines, the variables in their places."""
    lines = (html_module.escape(paragraph, quote=False).split("\n") for paragraph in re.split(r"\n\s*\n", _lines(text)))
    return "\n".join("<p>" + "<br>\n".join(each) + "</p>" for each in lines if each != [""])


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def _subject(said: str, *, mark: str) -> str:
    line = on_one_line(said)
    if len(line) > SUBJECT_AT_MOST and "{{" not in line[SUBJECT_AT_MOST - 1 :]:
        line = f"{line[: SUBJECT_AT_MOST - 1].rstrip()}…"
    if not line:
        raise WordingError("Filled in, the subject is empty.")
    try:
        return header_text(f"{mark}{line}")
    except HeaderError as refusal:
        raise WordingError(f"This cannot be the subject of a mail: {refusal}.") from None


def tone_of(facts: Facts) -> str:
    """The colour of the mail: that of the state, and of how much it matters."""
    if facts.says is Happening.NORMAL:
        return "good"
    if facts.says is Happening.REPORTED:
        return "quiet"
    return look("alert_level", facts.alert.level.value).tone


def values_of(facts: Facts) -> dict[str, str]:
    """What every reader of a wording shares, in the language that is spoken."""
    alert, thing = facts.alert, facts.thing
    money = {"balance": facts.balance, "available_credit": facts.credit}
    plain = is_plain_script(alert)
    return {
        "state": state_word(facts.says),
        "alert": on_one_line(alert.title),
        "what_happened": what_happened(facts.says, alert, thing, facts.value),
        "company": on_one_line(facts.company),
        "level": str(look("alert_level", alert.level.value).label),
        "metric": name_of(thing),
        "value": _value(facts),
        "line": line_of(alert, thing),
        "threshold": "" if plain or alert.threshold is None else thing.written(alert.threshold),
        "lasted": full_duration(facts.lasted) if facts.lasted is not None else "",
        "calls": calls_behind(facts.count, alert.window),
        **{name: thing.written(value) if value is not None else "" for name, value in money.items()},
        "normal_again": normal_again(alert, thing),
    }


def _value(facts: Facts) -> str:
    if not is_plain_script(facts.alert):
        return facts.thing.written(facts.value)
    return str(_("the case") if facts.value else _("not the case"))


def _empty(facts: Facts) -> frozenset[str]:
    return OF_READERS - frozenset(facts.moments)


def links_of(facts: Facts, variant: str, *, has_messages: bool) -> dict[str, str]:
    """Where the links lead: each begins with the address of the reader's own portal, which is filled in later."""
    if variant == STAFF:
        return {"alert_url": f"{{{{portal_url}}}}/admin/alerts/{facts.alert.public_id}", "report_url": ""}
    report = ""
    if has_messages and facts.watch_id is not None:
        report = f"{{{{portal_url}}}}{report_path(facts.watch_id, facts.told)}"
    return {"alert_url": f"{{{{portal_url}}}}/alerts/{facts.alert.public_id}", "report_url": report}


def report_path(watch_id: int, told: str = "") -> str:
    """Where a problem with what an alert watches is reported; `told` names what was told, whose facts are filled in."""
    return f"/messages/alert/{watch_id}" + (f"?told={told}" if told else "")


# Texts


def text_of(
    facts: Facts, own: Own | None, *, base_url: str, moments: Mapping[str, str], is_staff: bool, is_test: bool = False
) -> str:
    """What a telephone is sent, in the language that is spoken, its link included.

    Our own words are one message in the alphabet of GSM, whatever is in them; staff's at most 300 characters.
    """
    links = {name: link.replace("{{portal_url}}", base_url) for name, link in _links_of_texts(facts, is_staff).items()}
    mark = "[TEST] " if is_test else ""
    if own is not None and own.sms:
        values = {**dict.fromkeys(OF_TEXTS, ""), **values_of(facts), **moments, **links, "portal_url": base_url}
        said = " ".join(filled(own.sms, values).split())
        return gsm.cut(mark + (gsm.in_alphabet(said) or said), SMS_AT_MOST)
    return mark + _own_text(facts, links["alert_url"], gsm.ONE_MESSAGE - gsm.length(mark))


def _links_of_texts(facts: Facts, is_staff: bool) -> dict[str, str]:
    return links_of(facts, STAFF if is_staff else "", has_messages=True)


def _own_text(facts: Facts, link: str, length: int) -> str:
    """State, title, figure and line, and the link whole: what does not fit is left out from its end."""
    alert, thing = facts.alert, facts.thing
    link = link if gsm.is_in_alphabet(link) and gsm.length(link) <= length // 2 + 20 else ""
    room = length - gsm.length(link) - bool(link)
    head = f"{gsm.in_alphabet(state_word(facts.says)) or ''}: {gsm.in_alphabet(alert.title) or ''}".strip(" :")
    figure = "" if is_plain_script(alert) else f"{short_name_of(thing)} {thing.written(facts.value)}"
    line = "" if is_plain_script(alert) or facts.says is Happening.REPORTED else line_of(alert, thing)
    figure, line = (gsm.in_alphabet(each) or "" for each in (figure, line))
    tails = [f". {figure}, {line}" if figure and line else "", f". {figure}" if figure else "", ""]
    tail = next(each for each in tails if gsm.length(each) <= max(room - 20, 0))
    said = gsm.cut(head, room - gsm.length(tail)) + tail
    return f"{said} {link}".strip()


# What may be saved


def checked_own(own: Own) -> Own:
    """Own words as they are kept: trimmed, the HTML cleaned. FieldError says which part cannot stand, and why."""
    words = checked(TEMPLATE, Words(own.subject, own.text, own.html.strip() or html_of(own.text)))
    sms = " ".join(own.sms.split())
    try:
        _check_sms(sms)
    except WordingError as refusal:
        raise FieldError(str(refusal), "sms") from None
    return Own(words.subject, words.text, words.html if own.html.strip() else "", sms)


def _check_sms(sms: str) -> None:
    if len(sms) > SMS_AT_MOST:
        raise WordingError(f"The text message has {len(sms):,} characters; {SMS_AT_MOST} are allowed.")
    if not all(each.isprintable() for each in sms):
        raise WordingError("The text message holds a control character. Type it once more.")
    check_placeholders(sms, sorted(OF_TEXTS))
