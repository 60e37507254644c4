"""Which wording of a mail somebody gets: that of the company it reaches them through, which is where its links lead."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from portal.domains.queries.listings import homes_by_company
from portal.incidents.rules.languages import told_in
from portal.incidents.rules.wordings import key_for
from portal.notifications.kinds import Recipient, Told


def in_own_words(selector: Mapping[str, Any], found: Sequence[Recipient]) -> Sequence[Recipient]:
    """The same recipients, each with the variant they may read. One query, none where all are told the same."""
    texts: Mapping[str, str] = selector.get("wordings", {})
    if not texts:
        return found
    keys = _keys({each.company_ids[0] for each in found if each.company_ids}, texts)
    return [replace(each, variant=keys.get(each.company_ids[0], "")) if each.company_ids else each for each in found]


def told_in_own_words(
    selector: Mapping[str, Any], told: Mapping[int, Told], languages: Mapping[int, str]
) -> Mapping[int, Told]:
    """The same for channels: their wording, and what their machines are given, in the language they are told in.

    One query, or none.
    """
    if "wordings" not in selector and "languages" not in selector:
        return told
    texts: Mapping[str, str] = selector.get("wordings", {})
    keys = _keys({each.company_ids[0] for each in told.values() if each.company_ids}, texts) if texts else {}
    return {
        listener_id: _worded(selector, each, keys, languages.get(listener_id, "")) for listener_id, each in told.items()
    }


def facts_in(selector: Mapping[str, Any], facts: Mapping[str, Any], noun: str, language: str, key: str = "") -> Any:
    """What machines are told of an incident or of maintenance (`noun`) in this language, in the wording of this key."""
    said = selector.get("languages", {}).get(language, {})
    general = facts.get("update", {}).get("text", "")
    own = [(selector["wordings"][key], _only(language, said.get("wordings", {}).get(key)))] if key else []
    title = told_in(language, facts.get(noun, {}).get("title", ""), _only(language, said.get("title")))
    text = told_in(language, general, _only(language, said.get("text")), own)
    changed = dict(facts)
    if noun in facts:
        changed[noun] = {**facts[noun], "title": title}
    if "update" in facts:
        changed["update"] = {**facts["update"], "text": text}
    return changed


def _only(language: str, text: str | None) -> dict[str, str]:
    return {language: text} if text else {}


def _worded(selector: Mapping[str, Any], told: Told, keys: Mapping[int, str], language: str) -> Told:
    key = keys.get(told.company_ids[0], "") if told.company_ids else ""
    return replace(told, variant=key, data=facts_in(selector, told.data, "incident", language, key))


def _keys(company_ids: Collection[int], texts: Mapping[str, str]) -> dict[int, str]:
    homes = homes_by_company(company_ids)
    return {each: key_for(each, homes.get(each), texts) for each in company_ids}
