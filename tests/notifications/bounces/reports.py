"""Reports as mail servers write them, about a mail of ours."""

from textwrap import dedent

MAIL_DOMAIN = "portal.test"
BOUNCES = "bounces@mail.portal.test"

TOKEN = "abcdefghijklmnopqrstuvwxyz"
ALICE = "alice@customers.test"


def message_id(token: str = TOKEN) -> str:
    return f"<{token}@{MAIL_DOMAIN}>"


def verp(token: str = TOKEN) -> str:
    return BOUNCES.replace("@", f"+{token}@")


def original(token: str = TOKEN, to: str = ALICE) -> str:
    """The headers of the mail itself."""
    return "\n".join(
        (
            f"Return-Path: <{verp(token)}>",
            f"Message-ID: {message_id(token)}",
            "Date: Sat, 21 Nov 2026 12:00:00 +0000",
            "From: Acme <status@portal.test>",
            f"To: Alice <{to}>",
            "Subject: [Acme status] SIP trunks",
            f"References: <zzzzzzzzzzzzzzzzzzzzzzzzzz@{MAIL_DOMAIN}>",
            "MIME-Version: 1.0",
            "Content-Type: text/plain",
        )
    )


def dsn(
    status: str = "5.1.1",
    words: str = "smtp; 550 5.1.1 <alice@customers.test>: Recipient address rejected: User unknown",
    *,
    action: str = "failed",
    address: str = ALICE,
    to: str | None = None,
    token: str = TOKEN,
    returned: str | None = None,
    extra: str = "",
) -> bytes:
    """A delivery report as Postfix writes it. `returned` are the headers it returns, "" for none."""
    returned = original(token) if returned is None else returned
    third = f"\n--b1\nContent-Type: text/rfc822-headers\n\n{returned}\n" if returned else ""
    return (
        dedent(
            """\
        Return-Path: <>
        Delivered-To: {to}
        Date: Sat, 21 Nov 2026 12:00:05 +0000 (UTC)
        From: MAILER-DAEMON@mx.customers.test (Mail Delivery System)
        Subject: Undelivered Mail Returned to Sender
        To: {to}
        Auto-Submitted: auto-replied
        MIME-Version: 1.0
        Content-Type: multipart/report; report-type=delivery-status; boundary="b1"
        Message-Id: <20261121120005.ABCDEF@mx.customers.test>

        --b1
        Content-Description: Notification
        Content-Type: text/plain; charset=us-ascii

        This is the mail system at host mx.customers.test.

        <{address}>: {words}

        --b1
        Content-Type: message/delivery-status

        Reporting-MTA: dns; mx.customers.test
        Arrival-Date: Sat, 21 Nov 2026 12:00:00 +0000 (UTC)

        Final-Recipient: rfc822; {address}
        {extra}Action: {action}
        Status: {status}
        Diagnostic-Code: {words}
        {third}
        --b1--
        """
        )
        .format(
            to=verp(token) if to is None else to,
            address=address,
            words=words,
            action=action,
            status=status,
            extra=extra,
            third=third,
        )
        .encode()
    )


EXCHANGE = (
    (
        """\
From: <postmaster@customers.onmicrosoft.com>
To: <{to}>
Date: Sat, 21 Nov 2026 12:00:05 +0000
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
\tboundary="8b56b1ea-8e0a-4d2b-9a2f-1f2e3d4c5b6a"
X-MS-Exchange-Message-Is-Ndr:
Content-Language: en-US
Message-ID: <0a1b2c3d@AM0PR01MB1234.eurprd01.prod.exchangelabs.com>
In-Reply-To: {message_id}
References: {message_id}
Subject: Undeliverable: [Acme status] SIP trunks
Auto-Submitted: auto-replied

--8b56b1ea-8e0a-4d2b-9a2f-1f2e3d4c5b6a
Content-Type: multipart/alternative; differences=Content-Type;
\tboundary="inner"

--inner
Content-Type: text/plain; charset="us-ascii"
Content-Transfer-Encoding: quoted-printable

Your message to alice@customers.test couldn't be delivered.

--inner
Content-Type: text/html; charset="us-ascii"

<html><body>Your message couldn't be delivered.</body></html>

--inner--

--8b56b1ea-8e0a-4d2b-9a2f-1f2e3d4c5b6a
Content-Type: message/delivery-status

Reporting-MTA: dns;AM0PR01MB1234.eurprd01.prod.exchangelabs.com
Received-From-MTA: dns;mail.portal.test
Arrival-Date: Sat, 21 Nov 2026 12:00:03 +0000

Final-Recipient: rfc822;Alice@Customers.test
Action: failed
Status: 5.1.10
Diagnostic-Code: smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient alice@customers.test not found by SMTP
\taddress lookup

--8b56b1ea-8e0a-4d2b-9a2f-1f2e3d4c5b6a
Content-Type: message/rfc822

{original}

Hello.

--8b56b1ea-8e0a-4d2b-9a2f-1f2e3d4c5b6a--
"""
    )
    .format(to=BOUNCES, message_id=message_id(), original=original())
    .encode()
)
"""A report of Microsoft 365 to the plain address: only the mail it returns says which one it is."""

QMAIL = f"""\
Return-Path: <>
Delivered-To: {verp()}
Date: 21 Nov 2026 12:00:05 -0000
From: MAILER-DAEMON@mx.customers.test
To: {verp()}
Subject: failure notice

Hi. This is the qmail-send program at mx.customers.test.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<{ALICE}>:
Sorry, no mailbox here by that name. (#5.1.1)

--- Below this line is a copy of the message.

{original()}

Hello.
""".encode()

EXIM = f"""\
Return-path: <>
Envelope-to: {verp()}
X-Failed-Recipients: {ALICE}
Auto-Submitted: auto-replied
From: Mail Delivery System <Mailer-Daemon@mx.customers.test>
To: {verp()}
Subject: Mail delivery failed: returning message to sender
Message-Id: <E1abcde-000123-AB@mx.customers.test>
Date: Sat, 21 Nov 2026 12:00:05 +0000

This message was created automatically by mail delivery software.

A message that you sent could not be delivered to one or more of its
recipients. This is a permanent error. The following address(es) failed:

  {ALICE}
    SMTP error from remote mail server after RCPT TO:<{ALICE}>:
    host mx.customers.test [192.0.2.1]: 550 5.1.1 <{ALICE}> user unknown

------ This is a copy of the message, including all the headers. ------

{original()}

Hello.
""".encode()


def complaint(kind: str = "abuse", *, named: str = "", to: str = ALICE, token: str = TOKEN) -> bytes:
    """A complaint (ARF). `named` are further fields, such as who complained; many receivers leave that out."""
    return (
        dedent(
            """\
        From: <complaints@receiver.test>
        To: {bounces}
        Subject: FW: [Acme status] SIP trunks
        MIME-Version: 1.0
        Content-Type: multipart/report; report-type=feedback-report; boundary="part"

        --part
        Content-Type: text/plain; charset="US-ASCII"

        This is an email abuse report for a message received from 192.0.2.2.

        --part
        Content-Type: message/feedback-report

        Feedback-Type: {kind}
        User-Agent: ReceiverFBL/1.0
        Version: 1
        Original-Mail-From: <{verp}>
        {named}Source-IP: 192.0.2.2

        --part
        Content-Type: message/rfc822

        {original}

        Hello.

        --part--
        """
        )
        .format(bounces=BOUNCES, kind=kind, verp=verp(token), named=named, original=original(token, to))
        .encode()
    )


def answer(
    *headers: str, subject: str = "Re: [Acme status] SIP trunks", body: str = "I am away until Monday."
) -> bytes:
    """A mail of a person or a program to the bounce address, no report."""
    lines = [f"From: Alice <{ALICE}>", f"To: {verp()}", f"Subject: {subject}", "Date: Sat, 21 Nov 2026 12:01:00 +0000"]
    return "\n".join([*lines, "Message-ID: <1@customers.test>", *headers, "", body, ""]).encode()


RECEIPT = f"""\
From: Alice <{ALICE}>
To: {verp()}
Subject: Read: [Acme status] SIP trunks
MIME-Version: 1.0
Content-Type: multipart/report; report-type=disposition-notification; boundary="r"

--r
Content-Type: text/plain

Your message was read.

--r
Content-Type: message/disposition-notification

Final-Recipient: rfc822; {ALICE}
Original-Message-ID: {message_id()}
Disposition: manual-action/MDN-sent-manually; displayed

--r--
""".encode()

OWN_MAIL = f"""\
From: Acme <status@portal.test>
To: {BOUNCES}
{original().replace("To: Alice", "Cc: Alice")}
Auto-Submitted: auto-generated

Hello.
""".encode()
