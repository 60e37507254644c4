"""A kind of subject that only tests have: cases, each of one company, for what hangs on jobs, quotes and the like."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import pytest

from portal.accounts.rules import Permission, Viewpoint
from portal.domains.rules import Area
from portal.files import subjects
from portal.files.subjects import Known, Ref, Subject


@dataclass
class Cases:
    """The cases there are, by id with their company; those in `hidden` only staff see. An address has C<id>."""

    companies: dict[int, int]
    hidden: set[int] = field(default_factory=set)

    def seen(self, viewpoint: Viewpoint, case_ids: Collection[int]) -> Mapping[int, Known]:
        """What a viewpoint knows of some cases."""
        return {case_id: known for case_id in case_ids if (known := self._seen(viewpoint, case_id))}

    def _seen(self, viewpoint: Viewpoint, case_id: int) -> Known | None:
        company_id = self.companies.get(case_id)
        is_hidden = case_id in self.hidden or company_id != viewpoint.company_id
        if company_id is None or (is_hidden and not viewpoint.is_staff):
            return None
        base = "/admin/messages" if viewpoint.is_staff else "/messages"
        return Known(company_id, f"Case {case_id}", f"{base}/case/C{case_id}")


def case(case_id: int) -> Ref:
    """A case by its id."""
    return Ref("case", case_id)


def make_known(monkeypatch: pytest.MonkeyPatch, companies: dict[int, int]) -> Cases:
    """Register the kind for one test; its area is Jobs, and the office writes about it."""
    cases = Cases(companies)
    kind = Subject(
        kind="case",
        area=Area.JOBS,
        seen=cases.seen,
        key=lambda case_id: f"C{case_id}",
        find=lambda key: int(key[1:]) if key[:1] == "C" and key[1:].isdecimal() and len(key) < 9 else None,
        permission=Permission.COMPANIES_VIEW_AS,
    )
    monkeypatch.setitem(subjects._subjects, "case", kind)
    return cases
