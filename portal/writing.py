"""Writing about a job, a quote and the like, over the web: the same for customers and for staff.

Audience folders do not know each other, so it stands here. A screen that shows a conversation puts `shown(ref)` into
its context and includes `customer/messages/_conversation.html`, or the one of staff.
"""

import secrets
from collections.abc import Sequence
from typing import Any

from flask import Response, abort, flash, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from flask_wtf import FlaskForm
from wtforms import HiddenField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length

from portal import access, clock, events, uploads
from portal.accounts.rules import may
from portal.domains.rules import Area
from portal.errors import RuleViolation
from portal.extensions import db
from portal.files import subjects
from portal.files.actions import Giver
from portal.files.models import StoredFile
from portal.files.queries import unfinished
from portal.files.rules import ACCEPT, FILES_A_MESSAGE
from portal.files.subjects import Ref
from portal.fragments import redirect_to, render, wants_fragment
from portal.messages import actions, queries
from portal.messages.rules import BODY_LENGTH, KEY_LENGTH

MOST_BYTES = 25_000_000
"""Bytes one request with files may bring."""

TOO_LARGE = lazy_gettext("All files together may have at most 25 MB. Send some of them with a second message.")

NOTE = "note"
"""The value of the button that keeps a message among staff."""


class MessageForm(FlaskForm):
    """A message; `key` makes one that is sent twice one. What is wrong with files stands beside them."""

    body = TextAreaField(lazy_gettext("Message"), validators=[Length(max=BODY_LENGTH * 2)])
    key = HiddenField(validators=[InputRequired(), Length(max=KEY_LENGTH)])
    send = StringField()

    file_errors: Sequence[str] = ()

    @property
    def is_note(self) -> bool:
        """Whether the button for a note of staff was pressed."""
        return bool(self.send.data == NOTE)

    def refuse(self, violation: RuleViolation) -> None:
        """Put a sentence beside what it is about."""
        if violation.field == "body":
            self.body.errors = [*self.body.errors, violation.sentence]
        else:
            self.file_errors = [*self.file_errors, violation.sentence]


def fresh_form(body: str = "") -> MessageForm:
    """A form with a key of its own, empty or with what its message begins with."""
    return MessageForm(formdata=None, key=secrets.token_urlsafe(16), body=body)


def shown(
    ref: Ref, *, form: MessageForm | None = None, chosen: Sequence[StoredFile] = (), earlier: str | None = None
) -> dict[str, Any]:
    """What the fragments of a conversation need: `conversation`, `message_form`, `chosen_files` and a few limits.

    `conversation` is None where the subject is not there for the viewer, or messages are closed to them.
    """
    viewpoint, person = access.viewpoint(), access.signed_in()
    conversation = None
    if may_read(ref):
        conversation = queries.conversation(viewpoint, ref, person_id=person.person_id, earlier=earlier)
    return {
        "conversation": conversation,
        "message_form": form or fresh_form(),
        "chosen_files": chosen,
        "may_write": not person.is_view_as and _may_write(ref),
        "files_base": "/admin/files" if viewpoint.is_staff else "/files",
        "messages_base": "/admin/messages" if viewpoint.is_staff else "/messages",
        "accepts": ACCEPT,
        "files_at_most": FILES_A_MESSAGE,
    }


def may_read(ref: Ref) -> bool:
    """Whether the areas a conversation needs are open to the viewer; staff need none."""
    subject = subjects.subject_of(ref.kind)
    if subject is None:
        return False
    return access.viewpoint().is_staff or {subject.area, Area.MESSAGES} <= access.areas()


def _may_write(ref: Ref) -> bool:
    subject = subjects.subject_of(ref.kind)
    if subject is None:
        return False
    return not access.viewpoint().is_staff or may(access.signed_in().role, subject.permission)


def answer_with(folder: str, kind: str, key: str) -> Response:
    """The page of a conversation; to htmx its messages alone. `folder` holds the templates of the audience."""
    ref = _ref(kind, key)
    earlier = request.args.get("earlier") or None
    context = shown(ref, earlier=earlier)
    if context["conversation"] is None:
        abort(404)
    if told := request.args.get("told", "")[:KEY_LENGTH]:
        subject = subjects.subject_of(kind)
        if subject is not None and subject.opening is not None:
            context["message_form"] = fresh_form(subject.opening(ref.id, told)[:BODY_LENGTH])
    return render(f"{folder}/conversation.html", f"{folder}/_messages.html", **context)


def take_message(folder: str, kind: str, key: str) -> Response:
    """Write what the form says. To htmx the conversation with it, else back to the page of what it is about.

    What is refused comes back in its form, with the text and the files that were taken: 422, 507 where files find no
    room, 503 where they cannot be stored.
    """
    ref = _ref(kind, key)
    if not may_read(ref) or subjects.seen(access.viewpoint(), ref) is None:
        abort(404)
    if not _may_write(ref):
        abort(403)
    form = MessageForm()
    is_whole = form.validate()
    who = uploads.giver()
    # Sent twice, the files of the first time belong to its message already: there is nothing more to do.
    if not is_whole or queries.written_with(who.person_id, ref, form.key.data or "") is None:
        refused = _take(folder, ref, form, who, is_whole=is_whole)
        if refused is not None:
            return refused
    if wants_fragment():
        context = shown(ref) | {"was_sent": True}
        return render(f"{folder}/conversation.html", f"{folder}/_conversation.html", **context)
    flash("Noted for staff." if form.is_note else _("Sent."))
    known = subjects.seen(access.viewpoint(), ref)
    return redirect_to(f"{known.path if known else '/'}#messages")


def _take(folder: str, ref: Ref, form: MessageForm, who: Giver, *, is_whole: bool) -> Response | None:
    """Take the files and write the message; the form once more where either is refused, else None."""
    received = uploads.receive()
    if not is_whole or received.status != 200:
        form.file_errors = received.sentences
        return _again(folder, ref, form, received.files, received.status if received.status != 200 else 422)
    if not _write(ref, form, who, received):
        return _again(folder, ref, form, received.files, 422)
    events.commit()
    return None


def _write(ref: Ref, form: MessageForm, who: Giver, received: uploads.Received) -> bool:
    """Whether it was written; else the form says why not."""
    try:
        # What is refused is taken back, but for the files that have just come.
        with db.session.begin_nested():
            actions.write(
                ref,
                form.body.data or "",
                who,
                key=form.key.data or "",
                file_ids=received.ids,
                is_internal=form.is_note,
                now=clock.utcnow(),
            )
    except RuleViolation as violation:
        form.refuse(violation)
        return False
    return True


def _again(folder: str, ref: Ref, form: MessageForm, files: Sequence[StoredFile], status: int) -> Response:
    """The form once more. The files that were taken are written down, so they need not be sent again."""
    public_ids = [file.public_id for file in files]
    events.commit()
    who = uploads.giver()
    chosen = unfinished(public_ids, person_id=who.person_id, company_id=who.company_id)
    context = shown(ref, form=form, chosen=chosen)
    return render(f"{folder}/conversation.html", f"{folder}/_conversation.html", status, **context)


def _ref(kind: str, key: str) -> Ref:
    return subjects.found(kind, key) or abort(404)
