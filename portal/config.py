"""Settings, read once from `PORTAL_*` environment variables; a bad value stops the start with a sentence."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

SECRET_KEY_BYTES = 32
KNOWN_SAMPLE_KEYS = frozenset({"dev", "changeme", "change-me", "secret", "secret-key", "default", "test", "password"})


class ConfigError(Exception):
    """A setting that cannot be used. The message is one sentence for the person who set it."""


@dataclass(frozen=True)
class Settings:
    """Everything an installation decides outside the database. Durations are seconds."""

    instance: Path
    database_url: str
    redis_url: str
    smtp_url: str
    base_url: str
    secret_key: str = field(repr=False)
    secret_key_fallbacks: list[str] = field(default_factory=list, repr=False)
    live_port: int = 0
    mail_from: str = ""
    mail_domain: str = ""
    trusted_proxies: int = 0
    lease_seconds: float = 120
    pulse_seconds: float = 10
    connections_per_relay: int = 2
    slice_size: int = 1000
    api_requests_per_minute: int = 600
    metrics_token: str = field(default="", repr=False)
    maintenance_indicator: str = "maintenance"

    @property
    def staff_host(self) -> str:
        """The only host, with its port if it has one, on which staff screens answer."""
        return urlsplit(self.base_url).netloc.lower()

    @property
    def is_https(self) -> bool:
        return self.base_url.startswith("https://")

    @property
    def embedded_redis(self) -> bool:
        """True when nobody named a Redis, so that the supervisor starts one of its own on a socket."""
        return self.redis_url.startswith("unix://" + str(self.instance))

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Settings":
        """Read the settings, or raise ConfigError with what to change."""
        instance = Path(environ.get("PORTAL_INSTANCE") or "instance").resolve()
        base_url = _base_url(environ.get("PORTAL_BASE_URL") or "http://localhost:8000")
        host = urlsplit(base_url).hostname or "localhost"
        mail_domain = environ.get("PORTAL_MAIL_DOMAIN") or host
        return cls(
            instance=instance,
            database_url=_database_url(environ.get("PORTAL_DATABASE_URL") or f"sqlite:///{instance / 'portal.db'}"),
            redis_url=_redis_url(environ.get("PORTAL_REDIS_URL") or f"unix://{instance / 'redis.sock'}"),
            smtp_url=_smtp_url(environ.get("PORTAL_SMTP_URL") or "smtp://127.0.0.1:25"),
            base_url=base_url,
            secret_key=_secret_key(environ.get("PORTAL_SECRET_KEY"), instance),
            secret_key_fallbacks=_old_keys(environ.get("PORTAL_SECRET_KEY_FALLBACKS") or ""),
            live_port=int(_number(environ, "PORTAL_LIVE_PORT", 0, least=0)),
            mail_from=_one_line("PORTAL_MAIL_FROM", environ.get("PORTAL_MAIL_FROM") or f"status@{mail_domain}"),
            mail_domain=_one_line("PORTAL_MAIL_DOMAIN", mail_domain),
            trusted_proxies=int(_number(environ, "PORTAL_TRUSTED_PROXIES", 0, least=0)),
            lease_seconds=_number(environ, "PORTAL_LEASE_SECONDS", 120, least=1),
            pulse_seconds=_number(environ, "PORTAL_PULSE_SECONDS", 10, least=0.1),
            connections_per_relay=int(_number(environ, "PORTAL_CONNECTIONS_PER_RELAY", 2, least=1)),
            slice_size=int(_number(environ, "PORTAL_SLICE_SIZE", 1000, least=1)),
            api_requests_per_minute=int(_number(environ, "PORTAL_API_REQUESTS_PER_MINUTE", 600, least=1)),
            metrics_token=_metrics_token(environ.get("PORTAL_METRICS_TOKEN") or ""),
            maintenance_indicator=_maintenance_indicator(environ.get("PORTAL_MAINTENANCE_INDICATOR") or "maintenance"),
        )


def create_secret_key(instance: Path) -> None:
    """Write a fresh secret key into the instance folder, readable by its owner only, unless one is there."""
    path = instance / "secret_key"
    instance.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(SECRET_KEY_BYTES * 2), encoding="ascii")


def _secret_key(given: str | None, instance: Path) -> str:
    path = instance / "secret_key"
    key = given or (path.read_text(encoding="ascii").strip() if path.exists() else "")
    if not key:
        raise ConfigError(
            "There is no secret key: run `portal init`, or set PORTAL_SECRET_KEY to 32 random bytes or more."
        )
    if not _is_strong(key):
        raise ConfigError("PORTAL_SECRET_KEY must be at least 32 random bytes, not a sample from a manual.")
    return key


def _old_keys(given: str) -> list[str]:
    """Keys that still open what they signed, parted by commas: a weak one would let anybody sign."""
    keys = [key.strip() for key in given.split(",") if key.strip()]
    if not all(map(_is_strong, keys)):
        raise ConfigError(
            "PORTAL_SECRET_KEY_FALLBACKS must be a list of old keys parted by commas, each at least 32 random bytes."
        )
    return keys


def _is_strong(key: str) -> bool:
    return len(key.encode()) >= SECRET_KEY_BYTES and len(set(key)) >= 8 and key.lower() not in KNOWN_SAMPLE_KEYS


def _base_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path not in {"", "/"} or parts.query:
        raise ConfigError(f"PORTAL_BASE_URL must look like https://portal.example.com, not {value!r}.")
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _database_url(value: str) -> str:
    try:
        url = make_url(value)
    except ArgumentError:
        raise ConfigError(
            "PORTAL_DATABASE_URL must look like sqlite:////path/portal.db or postgresql://user@host/name."
        ) from None
    if url.drivername in {"postgresql", "postgres"}:
        url = url.set(drivername="postgresql+psycopg")
    if url.drivername not in {"sqlite", "postgresql+psycopg"}:
        raise ConfigError(f"PORTAL_DATABASE_URL names {url.drivername!r}; Signalbox runs on sqlite and postgresql.")
    return url.render_as_string(hide_password=False)


def _redis_url(value: str) -> str:
    if urlsplit(value).scheme not in {"redis", "rediss", "unix"}:
        raise ConfigError("PORTAL_REDIS_URL must begin with redis://, rediss:// or unix://.")
    return value


def _smtp_url(value: str) -> str:
    parts = urlsplit(_one_line("PORTAL_SMTP_URL", value))
    if parts.scheme not in {"smtp", "smtps", "smtp+starttls"} or not parts.hostname:
        raise ConfigError(
            "PORTAL_SMTP_URL must look like smtp://user:password@host:port (or smtps://, smtp+starttls://)."
        )
    return value


def _metrics_token(value: str) -> str:
    if value and not re.fullmatch(r"[\x21-\x7e]{16,200}", value):
        raise ConfigError(
            "PORTAL_METRICS_TOKEN must be 16 to 200 plain characters without spaces, such as random ones."
        )
    return value


def _one_line(name: str, value: str) -> str:
    if any(ord(character) < 32 or ord(character) == 127 for character in value):
        raise ConfigError(f"{name} holds a line break or another control character.")
    return value


def _maintenance_indicator(value: str) -> str:
    """The word of `/api/v2` for a page with nothing but maintenance; some readers know only the four official ones."""
    if value not in {"maintenance", "none"}:
        raise ConfigError(f"PORTAL_MAINTENANCE_INDICATOR must be maintenance or none, not {value!r}.")
    return value


def _number(environ: Mapping[str, str], name: str, default: float, *, least: float) -> float:
    raw = environ.get(name)
    if not raw:
        return default
    try:
        value = float(raw)
    except ValueError:
        raise ConfigError(f"{name} must be a number, not {raw!r}.") from None
    if not least <= value < 1e9:
        raise ConfigError(f"{name} must be at least {least:g}, not {raw}.")
    return value
