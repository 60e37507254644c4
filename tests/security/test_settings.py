"""What a start must refuse: keys anybody could guess, and settings with a second line in them."""

import secrets
from pathlib import Path

import pytest

from portal.config import ConfigError, Settings

STRONG = "".join(chr(97 + number * 7 % 26) for number in range(64))
"""A key that passes, the same in every process: test names are made of it."""


def read(tmp_path: Path, **given: str) -> Settings:
    return Settings.from_environment({"PORTAL_INSTANCE": str(tmp_path), "PORTAL_SECRET_KEY": STRONG, **given})


@pytest.mark.parametrize(
    "key", ["", "dev", "changeme", "secret-key", "x", "x" * 64, "abab" * 20, "short-but-random-4f9a1"]
)
def test_a12_a_weak_secret_key_stops_the_start(tmp_path: Path, key: str) -> None:
    with pytest.raises(ConfigError, match=r"secret key|PORTAL_SECRET_KEY"):
        read(tmp_path, PORTAL_SECRET_KEY=key)


@pytest.mark.parametrize("fallbacks", [STRONG[:20], f"{STRONG},dev", "a,b,c", "x" * 64])
def test_a13_weak_old_keys_stop_the_start(tmp_path: Path, fallbacks: str) -> None:
    """A string taken for a list would make a key of every letter of it."""
    with pytest.raises(ConfigError, match="PORTAL_SECRET_KEY_FALLBACKS"):
        read(tmp_path, PORTAL_SECRET_KEY_FALLBACKS=fallbacks)


def test_a13_old_keys_are_a_list(tmp_path: Path) -> None:
    other = secrets.token_urlsafe(48)
    assert read(tmp_path, PORTAL_SECRET_KEY_FALLBACKS=f"{STRONG}, {other}").secret_key_fallbacks == [STRONG, other]
    assert read(tmp_path, PORTAL_SECRET_KEY_FALLBACKS=STRONG).secret_key_fallbacks == [STRONG]
    assert read(tmp_path).secret_key_fallbacks == []


@pytest.mark.parametrize(
    "given",
    [
        {"PORTAL_SMTP_URL": "smtp://mail.test:25\nPORTAL_SECRET_KEY=pwn"},
        {"PORTAL_MAIL_FROM": "status@mail.test\r\nBcc: victim@evil.test"},
        {"PORTAL_MAIL_DOMAIN": "mail.test\x00evil.test"},
        {"PORTAL_BASE_URL": "http://portal.test/\nX: y"},
        {"PORTAL_BASE_URL": "javascript:alert(1)"},
        {"PORTAL_DATABASE_URL": "mysql://root@localhost/x"},
        {"PORTAL_REDIS_URL": "file:///etc/passwd"},
        {"PORTAL_TRUSTED_PROXIES": "all"},
        {"PORTAL_TRUSTED_PROXIES": "-1"},
    ],
)
def test_i31_a_setting_that_smuggles_is_refused(tmp_path: Path, given: dict[str, str]) -> None:
    with pytest.raises(ConfigError) as refusal:
        read(tmp_path, **given)
    assert STRONG not in str(refusal.value)


def test_i31_a_value_that_names_another_setting_stays_text(tmp_path: Path) -> None:
    settings = read(tmp_path, PORTAL_MAIL_FROM="${PORTAL_SECRET_KEY}@mail.test")
    assert settings.mail_from == "${PORTAL_SECRET_KEY}@mail.test"


def test_i31_settings_do_not_print_their_secrets(tmp_path: Path) -> None:
    assert STRONG not in repr(read(tmp_path, PORTAL_SECRET_KEY_FALLBACKS=STRONG))
