"""Tags of companies: compared without case, few, and found by them."""

import pytest

from portal.accounts.actions import archive_company, tag_company
from portal.accounts.models import Company
from portal.accounts.queries.tags import all_tags, companies_with_tag, tags_by_company
from portal.accounts.rules import TAG_LENGTH, TAGS_AT_MOST
from portal.audit.rules import SYSTEM
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from tests.conftest import NOW, Cast, counted_queries


def _tag(company: Company, *words: str) -> None:
    tag_company(company, words, version=company.version, by=SYSTEM, now=NOW)


def test_they_are_trimmed_compared_without_case_and_kept_as_written(cast: Cast) -> None:
    _tag(cast.a, "  Whole   sale ,VIP", "vip", "")
    _tag(cast.b, "WHOLE sale")
    assert tags_by_company([cast.a.id, cast.b.id]) == {cast.a.id: ["VIP", "Whole sale"], cast.b.id: ["WHOLE sale"]}
    assert companies_with_tag("whole SALE ") == [cast.a.id, cast.b.id]
    assert companies_with_tag("sale") == []
    assert len(all_tags(10)) == 2


def test_saying_all_of_them_takes_the_others_away_and_raises_the_version(cast: Cast) -> None:
    _tag(cast.a, "one", "two")
    version = cast.a.version
    _tag(cast.a, "Two", "three")
    assert tags_by_company([cast.a.id]) == {cast.a.id: ["three", "Two"]}
    assert cast.a.version == version + 1
    with pytest.raises(StaleEdit):
        tag_company(cast.a, ["x"], version=version, by=SYSTEM, now=NOW)
    _tag(cast.a, "three", "Two")
    assert cast.a.version == version + 1, "nothing changed"


def test_an_archived_company_is_meant_by_no_tag(cast: Cast) -> None:
    _tag(cast.a, "vip")
    archive_company(cast.a, version=cast.a.version, by=SYSTEM, now=NOW)
    assert companies_with_tag("vip") == []


@pytest.mark.parametrize("words", [["x" * (TAG_LENGTH + 1)], [f"tag {number}" for number in range(TAGS_AT_MOST + 1)]])
def test_too_long_and_too_many_are_refused_with_a_sentence(cast: Cast, words: list[str]) -> None:
    with pytest.raises(RuleViolation, match="at most") as refused:
        _tag(cast.a, *words)
    assert refused.value.field == "tags"


def test_it_is_one_query_for_however_many(cast: Cast) -> None:
    _tag(cast.a, "vip")
    db.session.flush()
    with counted_queries() as statements:
        tags_by_company([cast.a.id, cast.b.id])
        companies_with_tag("vip")
    assert len(statements) == 2
