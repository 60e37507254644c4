"""Who may be what, with no app."""

from datetime import UTC, datetime, timedelta

from portal.accounts.rules import Permission, Role, may, session_is_live, text_key

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def test_only_admins_edit_portals() -> None:
    assert [role for role in Role if may(role, Permission.PORTALS_EDIT)] == [Role.ADMIN]


def test_a_customer_may_do_nothing_on_staff_screens() -> None:
    assert not any(may(None, permission) for permission in Permission)


def test_a_staff_session_ends_after_half_an_hour_of_silence() -> None:
    def live(idle: timedelta, is_staff: bool) -> bool:
        return session_is_live(
            is_staff=is_staff, created_at=NOW - timedelta(hours=2), last_seen_at=NOW - idle, revoked_at=None, now=NOW
        )

    assert live(timedelta(minutes=29), True)
    assert not live(timedelta(minutes=31), True)
    assert live(timedelta(minutes=31), False)


def test_no_session_outlives_its_absolute_age() -> None:
    for is_staff, age in ((True, timedelta(hours=12)), (False, timedelta(days=30))):
        created = NOW - age - timedelta(seconds=1)
        assert not session_is_live(is_staff=is_staff, created_at=created, last_seen_at=NOW, revoked_at=None, now=NOW)


def test_a_revoked_session_is_over_at_once() -> None:
    assert not session_is_live(is_staff=False, created_at=NOW, last_seen_at=NOW, revoked_at=NOW, now=NOW)


def test_addresses_compare_without_case_width_or_spaces() -> None:
    assert text_key("  Ａda@Example.COM ") == text_key("ada@example.com")
