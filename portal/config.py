"""Settings, read once from `PORTAL_*` environment variables; a bad value stops the start with a sentence."""

import base64
import ipaddress
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

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
    mcp_port: int = 0
    mail_from: str = ""
    mail_domain: str = ""
    trusted_proxies: int = 0
    lease_seconds: float = 120
    pulse_seconds: float = 10
    connections_per_relay: int = 2
    slice_size: int = 1000
    api_requests_per_minute: int = 600
    metrics_token: str = field(default="", repr=False)
    incident_alarm_seconds: float = 60
    maintenance_indicator: str = "maintenance"
    maintenance_days_ahead: int = 60
    outside_allow: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()
    outside_ports: frozenset[int] = frozenset({80, 443})
    sms_url: str = field(default="", repr=False)
    bounce_address: str = ""
    bounce_imap_url: str = field(default="", repr=False)
    bounce_http_secrets: list[bytes] = field(default_factory=list, repr=False)
    files_url: str = field(default="", repr=False)
    file_megabytes: int = 10
    company_files_megabytes: int = 1000
    calls_delay: int = 60

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
            mcp_port=int(_number(environ, "PORTAL_MCP_PORT", 0, least=0, most=65535)),
            mail_from=_one_line("PORTAL_MAIL_FROM", environ.get("PORTAL_MAIL_FROM") or f"status@{mail_domain}"),
            mail_domain=_one_line("PORTAL_MAIL_DOMAIN", mail_domain),
            trusted_proxies=int(_number(environ, "PORTAL_TRUSTED_PROXIES", 0, least=0)),
            lease_seconds=_number(environ, "PORTAL_LEASE_SECONDS", 120, least=1),
            pulse_seconds=_number(environ, "PORTAL_PULSE_SECONDS", 10, least=0.1),
            connections_per_relay=int(_number(environ, "PORTAL_CONNECTIONS_PER_RELAY", 2, least=1)),
            slice_size=int(_number(environ, "PORTAL_SLICE_SIZE", 1000, least=1)),
            api_requests_per_minute=int(_number(environ, "PORTAL_API_REQUESTS_PER_MINUTE", 600, least=1)),
            incident_alarm_seconds=_number(environ, "PORTAL_INCIDENT_ALARM_SECONDS", 60, least=1),
            metrics_token=_metrics_token(environ.get("PORTAL_METRICS_TOKEN") or ""),
            maintenance_indicator=_maintenance_indicator(environ.get("PORTAL_MAINTENANCE_INDICATOR") or "maintenance"),
            maintenance_days_ahead=int(_number(environ, "PORTAL_MAINTENANCE_DAYS_AHEAD", 60, least=7, most=366)),
            bounce_address=_bounce_address(environ.get("PORTAL_BOUNCE_ADDRESS") or ""),
            bounce_imap_url=_imap_url(environ.get("PORTAL_BOUNCE_IMAP_URL") or ""),
            bounce_http_secrets=_webhook_secrets(environ.get("PORTAL_BOUNCE_HTTP_SECRET") or ""),
            files_url=_files_url(environ.get("PORTAL_FILES_URL") or (instance / "files").as_uri()),
            file_megabytes=int(_number(environ, "PORTAL_FILE_MEGABYTES", 10, least=1, most=FILE_MEGABYTES_AT_MOST)),
            company_files_megabytes=int(_number(environ, "PORTAL_COMPANY_FILES_MEGABYTES", 1000, least=1)),
            calls_delay=int(_number(environ, "PORTAL_CALLS_DELAY", 60, least=0, most=3600)),
            outside_allow=_networks(environ.get("PORTAL_OUTSIDE_ALLOW") or ""),
            outside_ports=frozenset({80, 443}) | _ports(environ.get("PORTAL_OUTSIDE_PORTS") or ""),
            sms_url=_sms_url(environ.get("PORTAL_SMS_URL") or ""),
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


FILE_MEGABYTES_AT_MOST = 20
"""The most PORTAL_FILE_MEGABYTES may allow: a request is read to 25 MB, and a form brings more than its file."""


def _files_url(value: str) -> str:
    """Where uploads lie: file:///a/path, or a bucket as s3://[key:secret@]bucket/prefix?endpoint=…&region=…."""
    sentence = (
        "PORTAL_FILES_URL must look like file:///srv/portal/files or s3://bucket/prefix, with ?endpoint=https://… for "
        "a store that is not Amazon's."
    )
    try:
        parts = urlsplit(_one_line("PORTAL_FILES_URL", value))
        query = parse_qs(parts.query, strict_parsing=True) if parts.query else {}
        endpoints = [urlsplit(each) for each in query.get("endpoint", [])]
    except ValueError:
        raise ConfigError(sentence) from None
    is_directory = parts.scheme == "file" and not parts.netloc and len(parts.path) > 1 and not parts.query
    is_bucket = parts.scheme == "s3" and parts.hostname and set(query) <= {"endpoint", "region"}
    if not is_directory and not is_bucket:
        raise ConfigError(sentence)
    if not all(each.scheme in {"http", "https"} and each.hostname for each in endpoints):
        raise ConfigError("The endpoint in PORTAL_FILES_URL must begin with https:// or http://.")
    return value


SMS_GATEWAYS = (
    "bulksms", "burstsms", "clickatell", "clicksend", "d7sms", "httpsms", "kavenegar", "msgbird", "nexmo", "octopush",
    "plivo", "seven", "sinch", "smseagle", "smseagles", "twilio", "voipms", "vonage",
)  # fmt: skip
"""The schemes of PORTAL_SMS_URL: gateways for text messages, and nothing that reads a file or runs a program."""


def _sms_url(value: str) -> str:
    scheme = _one_line("PORTAL_SMS_URL", value).partition("://")[0].lower()
    if value and scheme not in SMS_GATEWAYS:
        raise ConfigError(f"PORTAL_SMS_URL must begin with the name of a gateway: {', '.join(SMS_GATEWAYS)}.")
    return value


def _networks(value: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    """Networks parted by commas that webhooks may lead to although they are not public."""
    try:
        return tuple(ipaddress.ip_network(each.strip()) for each in value.split(",") if each.strip())
    except ValueError as trouble:
        raise ConfigError(
            f"PORTAL_OUTSIDE_ALLOW must list networks, such as 10.20.0.0/16,192.168.7.5: {trouble}."
        ) from None


def _ports(value: str) -> frozenset[int]:
    """Ports parted by commas that webhooks may lead to beside 80 and 443."""
    named = [each.strip() for each in value.split(",") if each.strip()]
    if not all(each.isascii() and each.isdigit() and 0 < int(each) < 65536 for each in named):
        raise ConfigError("PORTAL_OUTSIDE_PORTS must list ports parted by commas, such as 8080,8443.")
    return frozenset(map(int, named))


def _metrics_token(value: str) -> str:
    if value and not re.fullmatch(r"[\x21-\x7e]{16,200}", value):
        raise ConfigError(
            "PORTAL_METRICS_TOKEN must be 16 to 200 plain characters without spaces, such as random ones."
        )
    return value


def _bounce_address(value: str) -> str:
    """The address reports come back to, with room before its @ for a plus sign and the 26 letters of a mail."""
    plain = r"[A-Za-z0-9!#$%&'*/=?^_`{|}~.-]{1,36}@(?:[A-Za-z0-9-]{1,63}\.)*[A-Za-z0-9-]{1,63}"
    if value and (not re.fullmatch(plain, value) or len(value) > 200):
        raise ConfigError(
            "PORTAL_BOUNCE_ADDRESS must be a plain address such as bounces@mail.example.com, without a plus sign and "
            "with at most 36 characters before the @."
        )
    return value


def _imap_url(value: str) -> str:
    if not value:
        return ""
    try:
        parts = urlsplit(_one_line("PORTAL_BOUNCE_IMAP_URL", value))
        _ = parts.port
    except ValueError:
        raise ConfigError("PORTAL_BOUNCE_IMAP_URL is not a URL.") from None
    if parts.scheme not in {"imap", "imaps", "imap+starttls"} or not (parts.hostname and parts.username):
        raise ConfigError(
            "PORTAL_BOUNCE_IMAP_URL must look like imaps://user:password@host/INBOX (or imap+starttls://)."
        )
    if parts.scheme == "imap" and parts.hostname not in {"localhost", "127.0.0.1", "::1"}:
        raise ConfigError(
            "PORTAL_BOUNCE_IMAP_URL would send its password in plain: begin it with imaps:// or imap+starttls://."
        )
    return value


def _webhook_secrets(given: str) -> list[bytes]:
    """Keys of Standard Webhooks, parted by commas: while one is replaced, the old and the new one both hold."""
    secrets_given = [each.strip() for each in given.split(",") if each.strip()]
    try:
        keys = [base64.b64decode(each.removeprefix("whsec_"), validate=True) for each in secrets_given]
    except ValueError:
        keys = [b""]
    is_good = all(each.startswith("whsec_") for each in secrets_given)
    if not is_good or not all(24 <= len(key) <= 64 and len(set(key)) >= 8 for key in keys):
        raise ConfigError(
            "PORTAL_BOUNCE_HTTP_SECRET must be whsec_ followed by 24 to 64 random bytes in base64, such as "
            "`echo whsec_$(openssl rand -base64 32)` prints; several are parted by commas."
        )
    return keys


def _one_line(name: str, value: str) -> str:
    if any(ord(character) < 32 or ord(character) == 127 for character in value):
        raise ConfigError(f"{name} holds a line break or another control character.")
    return value


def _maintenance_indicator(value: str) -> str:
    """The word of `/api/v2` for a page with nothing but maintenance; some readers know only the four official ones."""
    if value not in {"maintenance", "none"}:
        raise ConfigError(f"PORTAL_MAINTENANCE_INDICATOR must be maintenance or none, not {value!r}.")
    return value


def _number(environ: Mapping[str, str], name: str, default: float, *, least: float, most: float = 999_999_999) -> float:
    raw = environ.get(name)
    if not raw:
        return default
    try:
        value = float(raw)
    except ValueError:
        raise ConfigError(f"{name} must be a number, not {raw!r}.") from None
    if not least <= value < 1e9:
        raise ConfigError(f"{name} must be at least {least:g}, not {raw}.")
    if value > most:
        raise ConfigError(f"{name} must be at most {most:g}, not {raw}.")
    return value
