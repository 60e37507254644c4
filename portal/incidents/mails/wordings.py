"""Which wording of a mail somebody gets: that of the company it reaches them through, which is where its links lead."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from portal.domains.queries.listings import homes_by_company
from portal.incidents.rules.wordings import key_for
from portal.notifications.kinds import Recipient, Told


def in_own_words(selector: Mapping[str, Any], found: Sequence[Recipient]) -> Sequence[Recipient]:
    """The same recipients, each with the variant they may read. One query, none where all are told the same."""
    texts: Mapping[str, str] = selector.get("wordings", {})
    if not texts:
        return found
    keys = _keys({each.company_ids[0] for each in found if each.company_ids}, texts)
    return [replace(each, variant=keys.get(each.company_ids[0], "")) if each.company_ids else each for each in found]


def told_in_own_words(selector: Mapping[str, Any], told: Mapping[int, Told]) -> Mapping[int, Told]:
    """The same for channels: their wording, and what their machines are given. One query, or none."""
    texts: Mapping[str, str] = selector.get("wordings", {})
    if not texts:
        return told
    keys = _keys({each.company_ids[0] for each in told.values() if each.company_ids}, texts)
    return {listener_id: _worded(each, keys, texts) for listener_id, each in told.items()}


def _worded(told: Told, keys: Mapping[int, str], texts: Mapping[str, str]) -> Told:
    key = keys.get(told.company_ids[0], "") if told.company_ids else ""
    if not key:
        return told
    update = {**told.data.get("update", {}), "text": texts[key]}
    return replace(told, variant=key, data={**told.data, "update": update})


def _keys(company_ids: Collection[int], texts: Mapping[str, str]) -> dict[int, str]:
    homes = homes_by_company(company_ids)
    return {each: key_for(each, homes.get(each), texts) for each in company_ids}
