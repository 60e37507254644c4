"""Handing one message to what is behind a channel: our own signed requests for webhooks, Apprise's for the rest.

Apprise knows how Slack, Teams and the gateways for texts want to be asked; it also follows redirects, reads proxy
settings and passwords from its surroundings, waits as long as bytes drip, and can be told by an address to read a file.
So its classes are made here from parts that were checked, never from an address somebody typed, and ask through
`portal.outside` like everybody else: `_Transport` stands where they look for `requests`.
"""

import importlib
import json
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from types import ModuleType
from typing import Any, cast
from urllib.parse import urlsplit

from portal import outside
from portal.config import SMS_GATEWAYS, Settings
from portal.notifications.channels.rules import (
    ADDRESS_LENGTH,
    AddressError,
    ChannelKind,
    Outcome,
    literal_for_slack,
    literal_for_teams,
    outcome_of,
    outcome_of_silence,
    phone_number,
    retry_after,
    signature_header,
    slack_address,
    teams_address,
)
from portal.notifications.rules import Failure

SECONDS = 10.0
"""How long a receiver may take for all of it: looking it up, connecting, TLS, asking and answering."""

ANSWER_BYTES = 2_000
"""Bytes of an answer that are read: the ledger shows its beginning, and nobody needs more."""

NO_GATEWAY = "Texts cannot be sent: this installation names no gateway for them (PORTAL_SMS_URL)."


def check_address(kind: ChannelKind, typed: str, settings: Settings) -> str:
    """The address as it is stored, if a channel of this kind may have it; AddressError with a sentence if not.

    Of a webhook only the text is judged, and its name is looked up each time it is asked: names change.
    """
    address = typed.strip()
    if not address or len(address) > ADDRESS_LENGTH:
        raise AddressError(f"An address has at most {ADDRESS_LENGTH} characters, and at least one.")
    if kind is ChannelKind.SMS:
        if not settings.sms_url:
            raise AddressError(NO_GATEWAY)
        return phone_number(address)
    if kind is ChannelKind.SLACK:
        slack_address(address)
    elif kind is ChannelKind.TEAMS:
        teams_address(address)
    else:
        try:
            outside.target_of(address, ports=settings.outside_ports, allowed=outside.Allowed(settings.outside_allow))
        except outside.OutsideError as refusal:
            raise AddressError(str(refusal)) from None
    return address


@dataclass(frozen=True)
class Parcel:
    """One message as it is handed over. `text` is for people; `body` is the JSON of a webhook, `message_id` its id, and
    each of `secrets` signs it."""

    kind: ChannelKind
    address: str
    text: str
    body: bytes
    message_id: str
    secrets: Sequence[str] = ()


@dataclass(frozen=True)
class Guard:
    """The way outside, with what this installation allows of it."""

    settings: Settings
    lookup: outside.Lookup | None = None

    def ask(self, url: str, method: str, headers: Mapping[str, str], body: bytes | None) -> outside.Answer:
        """Ask once; raises OutsideError."""
        return outside.ask(
            url,
            method=method,
            headers=headers,
            body=body,
            ports=self.settings.outside_ports,
            allowed=outside.Allowed(self.settings.outside_allow),
            seconds=SECONDS,
            most_bytes=ANSWER_BYTES,
            cut_short=True,
            lookup=self.lookup,
        )


def send(parcel: Parcel, guard: Guard, now: datetime) -> Outcome:
    """Hand over one message and tell what became of it; raises nothing. Takes SECONDS at most.

    Never call it inside a transaction.
    """
    if parcel.kind is ChannelKind.WEBHOOK:
        return _ask_webhook(parcel, guard, now)
    try:
        plugin = _plugin(parcel.kind, parcel.address, guard.settings)
    except AddressError as refusal:
        return Outcome(Failure.POISON, None, str(refusal))
    return _through_apprise(parcel, plugin, guard)


# Webhooks


def webhook_body(event: str, data: Mapping[str, Any], at: datetime) -> bytes:
    """The exact bytes of a webhook: `type`, `timestamp` and `data`, as Standard Webhooks advises."""
    told = {"type": event, "timestamp": at.astimezone(UTC).isoformat().replace("+00:00", "Z"), "data": data}
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


def _ask_webhook(parcel: Parcel, guard: Guard, now: datetime) -> Outcome:
    timestamp = int(now.timestamp())
    headers = {
        "Content-Type": "application/json",
        "webhook-id": parcel.message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature_header(parcel.secrets, parcel.message_id, timestamp, parcel.body),
    }
    try:
        answer = guard.ask(parcel.address, "POST", headers, parcel.body)
    except outside.OutsideError as trouble:
        return _silence(ChannelKind.WEBHOOK, trouble)
    return _heard(ChannelKind.WEBHOOK, answer)


def _heard(kind: ChannelKind, answer: outside.Answer) -> Outcome:
    return outcome_of(kind, answer.status, _said(answer), retry_after(answer.headers.get("retry-after", "")))


def _said(answer: outside.Answer) -> str:
    """The beginning of what was answered, as one line without anything that is not for eyes."""
    text = answer.body.decode("utf-8", "replace")
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())[:200]


def _silence(kind: ChannelKind, trouble: outside.OutsideError) -> Outcome:
    was_asked = isinstance(trouble, outside.Unreachable) and trouble.was_asked
    return outcome_of_silence(kind, str(trouble), was_asked=was_asked)


# Apprise


class _Conversation:
    """What the plugin that runs in this context asked, and what it heard."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.answer: outside.Answer | None = None
        self.trouble: outside.OutsideError | None = None


_conversation: ContextVar[_Conversation] = ContextVar("conversation")


class _Transport:
    """What Apprise's plugins find where they look for `requests`: the same names, and the guarded sender behind them.

    Redirects, certificates and time-outs are not theirs to decide, so what they say of these is left unread.
    """

    def __init__(self, requests: ModuleType) -> None:
        self._requests = requests

    def __getattr__(self, name: str) -> Any:
        if name in {"codes", "exceptions", "RequestException", "ConnectionError", "Timeout", "HTTPError"}:
            return getattr(self._requests, name)
        raise AttributeError(f"this use of requests is not guarded: {name}")

    def request(self, method: str, url: str, **options: Any) -> Any:
        """Ask, and answer as requests would; what goes wrong is a ConnectionError."""
        asked = {name: options.get(name) for name in ("headers", "params", "data", "json", "auth")}
        prepared = self._requests.Request(method.upper(), url, **asked).prepare()
        body = prepared.body.encode() if isinstance(prepared.body, str) else cast(bytes | None, prepared.body)
        named = {name: value for name, value in prepared.headers.items() if name.lower() != "content-length"}
        conversation = _conversation.get()
        try:
            answer = conversation.guard.ask(prepared.url, prepared.method, named, body)
        except outside.OutsideError as trouble:
            conversation.trouble = trouble
            raise self._requests.ConnectionError(str(trouble)) from None
        conversation.answer = answer
        response = self._requests.Response()
        response.status_code, response._content, response.encoding = answer.status, answer.body, "utf-8"
        response.headers.update(answer.headers)
        return response

    def post(self, url: str, data: Any = None, json: Any = None, **options: Any) -> Any:
        return self.request("POST", url, data=data, json=json, **options)

    def get(self, url: str, params: Any = None, **options: Any) -> Any:
        return self.request("GET", url, params=params, **options)


_MODULES = {
    **{scheme: scheme for scheme in SMS_GATEWAYS},
    "d7sms": "d7networks",
    "msgbird": "messagebird",
    "nexmo": "vonage",
    "smseagles": "smseagle",
    "slack": "slack",
    "workflows": "workflows",
}
"""The modules of Apprise that are used, by the scheme of their addresses. No other is ever asked for anything."""


@lru_cache
def plugin_class(scheme: str) -> Any:
    """Apprise's class for this scheme, with the guarded sender in the place of its own.

    Loaded when the first message needs it: processes that send none do without. RuntimeError when a new Apprise asks in
    another way than by `requests` in its module, so that nothing ever goes around the guard.
    """
    name = f"apprise.plugins.{_MODULES[scheme]}"
    module = importlib.import_module(name)
    if not isinstance(module.requests, _Transport):
        if not isinstance(module.requests, ModuleType) or module.requests.__name__ != "requests":
            raise RuntimeError(f"{name} does not ask by requests")
        setattr(module, "requests", _Transport(module.requests))  # noqa: B010 (it is a module's)
        # It writes the addresses it asks into the log, and these are keys.
        logging.getLogger("apprise").setLevel(logging.CRITICAL)
    for found in vars(module).values():
        if isinstance(found, type) and found.__module__ == name and scheme in _schemes_of(found):
            return found
    raise RuntimeError(f"{name} knows no {scheme}")


def _schemes_of(plugin: type) -> Collection[str]:
    schemes: set[str] = set()
    for attribute in ("protocol", "secure_protocol"):
        found = getattr(plugin, attribute, None)
        schemes.update({found} if isinstance(found, str) else found or ())
    return schemes


@lru_cache
def _asset() -> Any:
    """How Apprise presents itself: our name, nothing kept on disk, nothing interpreted in what is sent."""
    asset = importlib.import_module("apprise").AppriseAsset
    return asset(
        app_id=outside.AGENT,
        app_desc=outside.AGENT,
        app_url="",
        http_redirects=False,
        interpret_emojis=False,
        interpret_escapes=False,
        async_mode=False,
        pgp_autogen=False,
        pem_autogen=False,
        storage_mode="memory",
    )


def _plugin(kind: ChannelKind, address: str, settings: Settings) -> Any:
    """Apprise's object for this address; AddressError where there is none to be made."""
    makers: dict[ChannelKind, Callable[[str, Settings], Any]] = {
        ChannelKind.SLACK: _slack,
        ChannelKind.TEAMS: _teams,
        ChannelKind.SMS: _sms,
    }
    try:
        return makers[kind](address, settings)
    except TypeError:
        # AppriseImproperlyConfigured is one, and so is what a plugin raises that misses a part of its address.
        raise AddressError("What is stored for this channel is no longer an address that can be used.") from None


def _slack(address: str, _settings: Settings) -> Any:
    token_a, token_b, token_c = slack_address(address).tokens
    return plugin_class("slack")(
        schema="slack",
        host="",
        token_a=token_a,
        token_b=token_b,
        token_c=token_c,
        targets=None,
        include_image=False,
        include_footer=False,
        format="text",
        asset=_asset(),
    )


def _teams(address: str, _settings: Settings) -> Any:
    parts = teams_address(address)
    return plugin_class("workflows")(
        schema="workflows",
        host=parts.host,
        port=parts.port,
        workflow=parts.workflow,
        signature=parts.signature,
        version=parts.version or None,
        power_automate=parts.is_power_automate,
        routing_id=parts.routing_id,
        include_image=False,
        format="text",
        asset=_asset(),
    )


def _sms(number: str, settings: Settings) -> Any:
    """The gateway of the installation, aimed at one number."""
    if not settings.sms_url:
        raise AddressError(NO_GATEWAY)
    found = plugin_class(settings.sms_url.partition("://")[0].lower())
    parts = found.parse_url(settings.sms_url)
    try:
        if parts:
            return found(**{**parts, "targets": [number], "asset": _asset()})
    except TypeError:
        # AppriseImproperlyConfigured is one: a part is missing.
        pass
    raise AddressError("PORTAL_SMS_URL is no address its gateway understands.")


@dataclass(frozen=True)
class _Noting(Guard):
    """A way outside that nobody goes: it notes what would have been asked."""

    asked: list[str] = field(default_factory=list)

    def ask(self, url: str, method: str, headers: Mapping[str, str], body: bytes | None) -> outside.Answer:
        self.asked.append(url)
        raise outside.OutsideError("only looked at")


NOBODYS_NUMBER = "+493023125000"
"""Stands for a number where the gateway is only looked at. Of those that films may use, so that it is nobody's."""


def sms_trouble(settings: Settings, lookup: outside.Lookup | None = None) -> str:
    """Why no text could be sent now, as a sentence; "" where the gateway answers. Takes SECONDS at most.

    Nothing is sent, so whether the gateway knows the login only a text shows: that is what a channel's test is for.
    """
    try:
        plugin = _plugin(ChannelKind.SMS, NOBODYS_NUMBER, settings)
    except AddressError as refusal:
        return str(refusal)
    noting = _Noting(settings)
    _through_apprise(Parcel(ChannelKind.SMS, NOBODYS_NUMBER, "x", b"", ""), plugin, noting)
    if not noting.asked:
        return "PORTAL_SMS_URL is no address its gateway can be asked with."
    asked = urlsplit(noting.asked[0])
    place = asked.netloc.rpartition("@")[2]
    try:
        Guard(settings, lookup).ask(f"{asked.scheme}://{place}/", "HEAD", {}, None)
    except outside.OutsideError as trouble:
        return str(trouble)
    return ""


def _through_apprise(parcel: Parcel, plugin: Any, guard: Guard) -> Outcome:
    conversation = _Conversation(guard)
    token = _conversation.set(conversation)
    literal = {ChannelKind.SLACK: literal_for_slack, ChannelKind.TEAMS: literal_for_teams}.get(parcel.kind, str)
    try:
        is_taken = bool(plugin.notify(body=literal(parcel.text)))
    except TypeError as refusal:
        return Outcome(Failure.POISON, None, f"The message cannot be made: {refusal}")
    finally:
        _conversation.reset(token)
    if conversation.trouble is not None:
        return _silence(parcel.kind, conversation.trouble)
    if conversation.answer is None:
        return Outcome(Failure.POISON, None, "The number or address is refused before anything is sent.")
    outcome = _heard(parcel.kind, conversation.answer)
    if outcome.failure is None and not is_taken:
        return Outcome(Failure.REFUSED, outcome.code, outcome.text or "It was answered, but not taken.")
    return outcome
