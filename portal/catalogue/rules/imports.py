"""What becomes of the rows of an import of components, services or holdings. An empty cell says and changes nothing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from portal.accounts.rules import one_line, paragraphs, text_key
from portal.accounts.rules.imports import KnownCompanies, external_id_of, shortened
from portal.catalogue.rules.services import PLAIN, DetailError, Details, clean_details
from portal.records.rules.columns import names_in
from portal.records.rules.judging import Change, Claims, Judged, Refusal, Row, refused, verdict_of

NAME_LENGTH = 200
CATEGORY_LENGTH = 100
REFERENCE_LENGTH = 120
DESCRIPTION_LENGTH = 2000
SHOWN_LENGTH = 120

YES = frozenset({"yes", "y", "true", "1", "x", "ja", "j", "wahr"})
NO = frozenset({"no", "n", "false", "0", "nein", "falsch"})


@dataclass(frozen=True, slots=True)
class KnownComponent:
    """A component as it stands; `group` is the name of its group, "" for none."""

    id: int
    title: str
    group: str
    external_id: str | None
    is_archived: bool
    version: int

    @property
    def name(self) -> str:
        """How it is called in sentences: by its group too."""
        return f"{self.group} / {self.title}" if self.group else self.title


class KnownComponents:
    """All components, found by reference, by "Group / Title", or by title where only one has it."""

    def __init__(self, components: Iterable[KnownComponent]) -> None:
        self.by_id = {each.id: each for each in components}
        self.by_external_id = {each.external_id: each for each in self.by_id.values() if each.external_id}
        self._by_title: dict[str, list[KnownComponent]] = {}
        self._by_name: dict[str, list[KnownComponent]] = {}
        for each in self.by_id.values():
            if not each.is_archived:
                self._by_title.setdefault(text_key(each.title), []).append(each)
                self._by_name.setdefault(text_key(each.name), []).append(each)

    def titled(self, title: str, group: str) -> KnownComponent | None:
        """The live component of this title in this group; without a group one that has none, else the only one."""
        same = self._by_title.get(text_key(title), [])
        inside = [each for each in same if text_key(each.group) == text_key(group)]
        found = inside or (same if not group else [])
        if len(found) > 1:
            raise Refusal(
                f"{len(found)} components are called {shortened(title)} ({_listed(each.name for each in found)}), "
                "name the group or the reference"
            )
        return found[0] if found else None

    def candidates(self, title: str, external_id: str) -> list[int]:
        """The ids of all that a row with this title and reference may mean."""
        found = [each.id for each in self._by_title.get(text_key(title), ())]
        return [*found, *([self.by_external_id[external_id].id] if external_id in self.by_external_id else ())]

    def meant_by(self, text: str) -> KnownComponent:
        """The component somebody means by a word in a cell; Refusal when there is none, or more than one."""
        if (found := self.by_external_id.get(text)) is not None:
            if found.is_archived:
                raise Refusal(f"the component {found.name} is in the archive, take it back first")
            return found
        named = self._by_name.get(text_key(text)) or self._by_title.get(text_key(text)) or []
        if len(named) > 1:
            raise Refusal(
                f"{len(named)} components are called {shortened(text)}, write the group before the title, "
                f"such as {named[0].name}"
            )
        if not named:
            raise Refusal(f"there is no component called {shortened(text)}, add it or import components first")
        return named[0]


@dataclass(frozen=True, slots=True)
class KnownService:
    """A service as it stands, with what it depends on now."""

    id: int
    name: str
    category: str
    description: str
    is_archived: bool
    version: int
    component_ids: frozenset[int] = frozenset()
    details: Details = PLAIN
    is_global: bool = False


@dataclass(frozen=True, slots=True)
class KnownHolding:
    """A holding that is valid now, with what it depends on of its own."""

    id: int
    version: int
    component_ids: frozenset[int]


@dataclass(frozen=True)
class KnownUses:
    """What a piece of a file of holdings may mean."""

    companies: KnownCompanies
    services: Mapping[str, KnownService]
    components: KnownComponents
    holdings: Mapping[tuple[int, int, str], KnownHolding] = field(default_factory=dict)


def judge_component(row: Row, components: KnownComponents, descriptions: Mapping[int, str], claims: Claims) -> Judged:
    """A component is found by its reference if the row has one, else by its title within its group.

    A row without a group leaves a component where it is. `descriptions` are those of the components that are known.
    """
    try:
        title = _text(row.get("title"), "title", NAME_LENGTH, is_needed=True)
        group = _text(row.get("group"), "name of the group", NAME_LENGTH)
        description = _description(row.get("description"))
        external_id = external_id_of(row.get("external_id"))
        found = _component_meant(title, group, external_id, components)
        stays_in = group or (found.group if found else "")
        keys: list[tuple[str, Any]] = [("title", (text_key(stays_in), text_key(title)))]
        keys += [("external", external_id)] if external_id else []
        keys += [("id", found.id)] if found else []
        claims.claim(row.number, f"the component {title}", *keys)
    except Refusal as refusal:
        return refused(row.number, shortened(one_line(row.get("title"))), refusal)
    changes = []
    if found:
        present = {
            "Title": found.title,
            "Group": found.group,
            "Description": descriptions.get(found.id, ""),
            "Reference": found.external_id or "",
        }
        wanted = {"Title": title, "Group": group, "Description": description, "Reference": external_id or ""}
        # A group is the same whatever its case: its own spelling stays.
        if text_key(group) == text_key(found.group):
            wanted["Group"] = found.group
        changes = differences(present, wanted)
    return Judged(
        row.number,
        verdict_of(found.id if found else None, changes),
        f"{stays_in} / {title}" if stays_in else title,
        changes=tuple(changes),
        row_id=found.id if found else None,
        version=found.version if found else None,
        values={
            "title": title,
            "group": stays_in,
            "description": description or (descriptions.get(found.id, "") if found else ""),
            "external_id": external_id or (found.external_id if found else None),
        },
    )


def _component_meant(
    title: str, group: str, external_id: str | None, components: KnownComponents
) -> KnownComponent | None:
    by_id = components.by_external_id.get(external_id) if external_id else None
    if by_id and by_id.is_archived:
        raise Refusal(f"the component {by_id.name} is in the archive, take it back first")
    by_title = components.titled(title, group or (by_id.group if by_id else ""))
    if by_id and by_title and by_id.id != by_title.id:
        raise Refusal(f"{by_id.name} has the reference {external_id}, and there is another component {by_title.name}")
    if by_id is None and by_title and external_id and by_title.external_id:
        raise Refusal(f"the component {by_title.name} has the reference {by_title.external_id} already")
    return by_id or by_title


def judge_service(row: Row, known: Mapping[str, KnownService], components: KnownComponents, claims: Claims) -> Judged:
    """A service is found by its name. Components, where the cell names any, become exactly those of the row."""
    try:
        name = _text(row.get("name"), "name", NAME_LENGTH, is_needed=True)
        category = _text(row.get("category"), "category", CATEGORY_LENGTH)
        description = _description(row.get("description"))
        depends_on = {components.meant_by(each).id for each in names_in(row.get("components"))}
        found = known.get(text_key(name))
        if found and found.is_archived:
            raise Refusal(f"the service {found.name} is in the archive, take it back first")
        present = found.details if found else PLAIN
        wanted = _details_meant(row, name, present)
        is_global = _everyone_meant(row.get("everyone"), found.is_global if found else False)
        claims.claim(row.number, f"the service {name}", text_key(name))
    except Refusal as refusal:
        return refused(row.number, shortened(one_line(row.get("name"))), refusal)
    changes = []
    if found:
        before = {"Name": found.name, "Category": found.category, "Description": found.description}
        changes = differences(before, {"Name": name, "Category": category, "Description": description})
        changes += _other_details(present, wanted)
        if is_global != found.is_global:
            changes.append(Change("Every company", *(("no", "yes") if is_global else ("yes", "no"))))
        changes += _dependencies(found.component_ids, depends_on, components)
    return Judged(
        row.number,
        verdict_of(found.id if found else None, changes),
        name,
        changes=tuple(changes),
        row_id=found.id if found else None,
        version=found.version if found else None,
        values={
            "name": name,
            "name_key": text_key(name),
            "category": category or (found.category if found else ""),
            "description": description or (found.description if found else ""),
            "icon": wanted.icon,
            "aliases": list(wanted.aliases),
            "notifies": None if wanted.notifies is None else list(wanted.notifies),
            "turns": is_global if found is None or is_global != found.is_global else None,
            **_edges(found.component_ids if found else frozenset(), depends_on),
        },
    )


def _details_meant(row: Row, name: str, present: Details) -> Details:
    """The details after this row; what it says nothing of stays."""
    typed, icon = row.get("notifies"), one_line(row.get("icon")).casefold()
    words = tuple(text_key(each).replace(" ", "_") for each in names_in(typed))
    notifies = {("all",): None, ("none",): (), (): present.notifies}.get(words, words)
    wanted = Details(icon or present.icon, tuple(names_in(row.get("aliases"))) or present.aliases, notifies)
    try:
        return clean_details(wanted, name)
    except DetailError as error:
        sentence = error.sentence.rstrip(".")
        raise Refusal(f"{sentence[0].lower()}{sentence[1:]}") from None


def _everyone_meant(text: str, present: bool) -> bool:
    word = text_key(text)
    if word in YES or word in NO:
        return word in YES
    if word:
        raise Refusal(f"whether every company holds it is yes or no, and not {shortened(text)}")
    return present


def _other_details(present: Details, wanted: Details) -> list[Change]:
    """What would be another of the details, in the order of the columns."""

    def said(details: Details) -> dict[str, str]:
        mailed = "all" if details.notifies is None else ", ".join(details.notifies) or "none"
        return {"Other names": ", ".join(details.aliases), "Icon": details.icon, "Mailed statuses": mailed}

    return differences(said(present), said(wanted))


def judge_holding(row: Row, known: KnownUses, claims: Claims) -> Judged:
    """A holding is found by company, service and reference; what may change is what it depends on of its own."""
    label = shortened(
        " · ".join(filter(None, (one_line(row.get(each)) for each in ("company", "service", "reference"))))
    )
    try:
        company_text, service_text = one_line(row.get("company")), one_line(row.get("service"))
        if not company_text or not service_text:
            raise Refusal(f"the {'service' if company_text else 'company'} is missing")
        company = known.companies.meant_by(company_text)
        service = known.services.get(text_key(service_text))
        if service is None:
            raise Refusal(f"there is no service called {shortened(service_text)}, add it or import services first")
        if service.is_archived:
            raise Refusal(f"the service {service.name} is in the archive, take it back first")
        reference = _text(row.get("reference"), "reference", REFERENCE_LENGTH)
        depends_on = {known.components.meant_by(each).id for each in names_in(row.get("components"))}
        key = (company.id, service.id, reference)
        under = f" under {reference}" if reference else ""
        claims.claim(row.number, f"{service.name} of {company.name}{under}", key)
    except Refusal as refusal:
        return refused(row.number, label, refusal)
    found = known.holdings.get(key)
    changes = _dependencies(found.component_ids, depends_on, known.components) if found else []
    return Judged(
        row.number,
        verdict_of(found.id if found else None, changes),
        f"{company.name}: {service.name}{f' ({reference})' if reference else ''}",
        changes=tuple(changes),
        row_id=found.id if found else None,
        version=found.version if found else None,
        values={
            "company_id": company.id,
            "service_id": service.id,
            "reference": reference,
            **_edges(found.component_ids if found else frozenset(), depends_on),
        },
    )


def differences(present: Mapping[str, str], wanted: Mapping[str, str]) -> list[Change]:
    """The fields that would be another; an empty wish changes nothing."""
    return [
        Change(each, _excerpt(present[each]), _excerpt(wanted[each]))
        for each in present
        if wanted[each] and wanted[each] != present[each]
    ]


def _dependencies(before: frozenset[int], wanted: set[int], components: KnownComponents) -> list[Change]:
    """What is depended on, in names; an empty wish changes nothing."""
    if not wanted or wanted == before:
        return []

    def named(ids: Iterable[int]) -> str:
        return _listed(sorted(components.by_id[each].name for each in ids if each in components.by_id))

    return [Change("Components", named(before), named(wanted))]


def _edges(before: frozenset[int], wanted: set[int]) -> dict[str, list[int]]:
    """The components that are depended on from now on, and those that no longer are."""
    if not wanted:
        return {"added": [], "ended": []}
    return {"added": sorted(wanted - before), "ended": sorted(before - wanted)}


def _text(text: str, what: str, most: int, *, is_needed: bool = False) -> str:
    value = one_line(text)
    if is_needed and not value:
        raise Refusal(f"the {what} is missing")
    if max(len(value), len(text_key(value))) > most:
        raise Refusal(f"the {what} has more than {most} characters")
    return value


def _description(text: str) -> str:
    value = paragraphs(text)
    if len(value) > DESCRIPTION_LENGTH:
        raise Refusal(f"the description has more than {DESCRIPTION_LENGTH} characters")
    return value


def _excerpt(text: str) -> str:
    return text if len(text) <= SHOWN_LENGTH else f"{text[: SHOWN_LENGTH - 1]}…"


def _listed(names: Iterable[str]) -> str:
    """Names one after the other, the first few of many."""
    listed: Sequence[str] = list(names)
    shown = ", ".join(listed[:5])
    return f"{shown} and {len(listed) - 5} more" if len(listed) > 5 else shown
