"""`/admin/broadcasts/notices`: writing to many by hand, trying it out, and having it go out."""

from datetime import datetime
from typing import Any, cast

from flask import Blueprint, Response, abort, flash, make_response, request, url_for
from sqlalchemy.orm.exc import StaleDataError

from portal import access, clock, events
from portal.accounts.models import Person
from portal.accounts.queries import person_by_id
from portal.accounts.rules import Permission
from portal.admin.broadcasts.notices.forms import EVERYONE, SOME, NoticeForm, ScheduleForm
from portal.admin.broadcasts.notices.preview import Preview, letter_to, preview_of, readers_of
from portal.admin.forms import RowForm, page_wanted, text_wanted
from portal.catalogue.notices import actions, queries
from portal.catalogue.notices.models import Notice
from portal.catalogue.notices.rules import NAMED, VARIABLES, Chosen, NoticeState
from portal.database import read_only
from portal.errors import RuleViolation, StaleEdit
from portal.fragments import redirect_to, render
from portal.headers import let_frames_show_ours
from portal.language import LANGUAGES, reader_zone

FILTERS = {
    "": "All",
    NoticeState.DRAFT.value: "Drafts",
    NoticeState.SCHEDULED.value: "Scheduled",
    NoticeState.SENT.value: "Sent",
}
FOUND_AT_MOST = 12
"""Companies a search offers."""

MAIL_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'self'; "
    "base-uri 'none'; object-src 'none'"
)
"""For a mail in its frame: it may style itself, as mails do inline, and nothing else."""

blueprint = Blueprint("admin_notices", __name__, url_prefix="/admin/broadcasts/notices")
access.staff(blueprint, Permission.NOTICES_SEND)


@blueprint.get("")
def notices() -> Response:
    """Every notice, the one touched last first."""
    wanted, text = request.args.get("state", ""), text_wanted()
    if wanted not in FILTERS:
        abort(404)
    return render(
        "admin/broadcasts/notices/notices.html",
        "admin/broadcasts/notices/_notices.html",
        notices=queries.notices_page(page_wanted(), state=NoticeState(wanted) if wanted else None, text=text),
        state=wanted,
        text=text,
        filters=[
            (word, url_for("admin_notices.notices", state=state or None, q=text or None), state == wanted)
            for state, word in FILTERS.items()
        ],
    )


@blueprint.route("/new", methods=["GET", "POST"])
def new() -> Response:
    """Write a notice. `companies`, `services`, `components` or `domains` in the address choose the first readers."""
    now, form = clock.utcnow(), NoticeForm()
    if not form.is_submitted():
        _choose(form, Chosen.by_kind({kind: _ids(kind) for kind in NAMED}))
        return _writing_page(form, None, now)
    if not form.validate():
        return _writing_page(form, None, now, 422)
    try:
        notice = actions.write(
            form.wordings(), form.chosen(), by=access.actor(), author_id=access.signed_in().person_id, now=now
        )
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _writing_page(form, None, now, 422)
    return _saved(notice, "Saved as a draft. Nothing has been sent yet.")


@blueprint.post("/preview")
def preview() -> Response:
    """What sending the form as it stands would do."""
    events.rollback()
    read_only.set(True)
    found = _preview(NoticeForm(), clock.utcnow())
    template = "admin/broadcasts/notices/preview.html"
    return render(template, template, preview=found, languages=LANGUAGES)


@blueprint.get("/companies")
def companies() -> Response:
    """Companies that are called so, to choose from, without those chosen already."""
    template = "admin/broadcasts/notices/_companies_found.html"
    text = request.args.get("company_q", "")[:200].strip()
    found = queries.companies_found(text, _ids("companies"), FOUND_AT_MOST)
    return render(template, template, found=found, company_q=text)


@blueprint.get("/<int:notice_id>")
def notice(notice_id: int) -> Response:
    """One notice as it would go out: to read, to try, to send."""
    return _notice_page(_found(notice_id), clock.utcnow())


@blueprint.route("/<int:notice_id>/edit", methods=["GET", "POST"])
def edit(notice_id: int) -> Response:
    """Change what is not sent yet."""
    now, found, form = clock.utcnow(), _found(notice_id), NoticeForm()
    if found.state is NoticeState.SENT:
        return redirect_to(_address(notice_id))
    if not form.is_submitted():
        _fill_in(form, found)
        return _writing_page(form, found, now)
    if not form.validate():
        return _writing_page(form, found, now, 422)
    try:
        edited = _found(notice_id, to_change=True)
        actions.edit(edited, form.wordings(), form.chosen(), version=form.expected(), by=access.actor(), now=now)
        return _saved(edited, "Saved.")
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _writing_page(form, _found(notice_id), now, 422)
    except (StaleEdit, StaleDataError):
        events.rollback()
        newer = _found(notice_id)
        form.version.data = str(newer.version)
        return _writing_page(form, newer, now, 409)


@blueprint.get("/<int:notice_id>/mail")
def mail(notice_id: int) -> Response:
    """The HTML of the mail as one reader gets it, for the frame on the notice's page. It can run and load nothing."""
    found, now = _found(notice_id), clock.utcnow()
    _people, reader = readers_of(found.to, now, only=_reader_id())
    if reader is None and _reader_id() is not None:
        abort(404)
    letter = letter_to(reader, found.wordings, language=request.args.get("language")) if reader else None
    if letter is None:
        letter = _preview_of(found, now).letter
    response = make_response(letter.document if letter else "")
    response.headers["Content-Security-Policy"] = MAIL_POLICY
    return response


@blueprint.post("/<int:notice_id>/test")
def test(notice_id: int) -> Response:
    """Send it to whoever asks, at their own address."""
    found = _found(notice_id)
    form = RowForm()
    if not form.validate():
        return _notice_page(found, clock.utcnow(), 422)
    me = cast(Person, person_by_id(access.signed_in().person_id))
    try:
        broadcast = actions.send_test(found, me, _reader_id(), by=access.actor(), now=clock.utcnow())
    except RuleViolation as violation:
        return _refused(notice_id, violation)
    address, sentence = _address(notice_id), f"On its way to {me.email}."
    del broadcast
    events.commit()
    flash(sentence)
    return redirect_to(address)


@blueprint.post("/<int:notice_id>/schedule")
def schedule(notice_id: int) -> Response:
    """Have it start by itself later."""
    form, now = ScheduleForm(), clock.utcnow()
    if not form.validate():
        return _notice_page(_found(notice_id), now, 422, schedule_form=form)
    wall = datetime.combine(cast(Any, form.due.data), cast(Any, form.due_time.data))
    try:
        actions.schedule(
            _found(notice_id, to_change=True),
            wall,
            access.signed_in().time_zone,
            form.which(),
            version=form.version.data or 0,
            by=access.actor(),
            now=now,
        )
        events.commit()
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _notice_page(_found(notice_id), now, 422, schedule_form=form)
    except (StaleEdit, StaleDataError):
        return _stale(notice_id)
    flash("Scheduled. Until it starts you can change it or take it back.")
    return redirect_to(_address(notice_id))


@blueprint.post("/<int:notice_id>/unschedule")
def unschedule(notice_id: int) -> Response:
    """Make a scheduled notice a draft again."""
    return _do(notice_id, actions.unschedule, "It is a draft again, and starts only when you say so.")


@blueprint.post("/<int:notice_id>/send")
def send(notice_id: int) -> Response:
    """Send it to everybody it reaches; the page of its broadcast follows. Twice is once."""
    form = RowForm()
    if not form.validate():
        return _notice_page(_found(notice_id), clock.utcnow(), 422)
    try:
        broadcast = actions.send(
            _found(notice_id, to_change=True), version=form.version.data or 0, by=access.actor(), now=clock.utcnow()
        )
        broadcast_id = broadcast.id
        events.commit()
    except RuleViolation as violation:
        return _refused(notice_id, violation)
    except (StaleEdit, StaleDataError):
        return _stale(notice_id)
    return redirect_to(url_for("admin_broadcasts.broadcast", broadcast_id=broadcast_id))


@blueprint.post("/<int:notice_id>/duplicate")
def duplicate(notice_id: int) -> Response:
    """A new draft like this one."""
    now, found = clock.utcnow(), _found(notice_id)
    try:
        copy = actions.duplicate(found, by=access.actor(), author_id=access.signed_in().person_id, now=now)
    except RuleViolation as violation:
        return _refused(notice_id, violation)
    copy_id = copy.id
    events.commit()
    flash("A new draft with the same words.")
    return redirect_to(url_for("admin_notices.edit", notice_id=copy_id))


@blueprint.post("/<int:notice_id>/delete")
def delete(notice_id: int) -> Response:
    """Throw away what is not sent yet."""
    return _do(notice_id, actions.delete, "Deleted.", leads_to=url_for("admin_notices.notices"))


# What they share


def _do(notice_id: int, action: Any, sentence: str, leads_to: str = "") -> Response:
    form = RowForm()
    if not form.validate():
        return _notice_page(_found(notice_id), clock.utcnow(), 422)
    version = form.version.data or 0
    try:
        action(_found(notice_id, to_change=True), version=version, by=access.actor(), now=clock.utcnow())
        events.commit()
    except RuleViolation as violation:
        return _refused(notice_id, violation)
    except (StaleEdit, StaleDataError):
        return _stale(notice_id)
    flash(sentence)
    return redirect_to(leads_to or _address(notice_id))


def _refused(notice_id: int, violation: RuleViolation) -> Response:
    events.rollback()
    return _notice_page(_found(notice_id), clock.utcnow(), 422, refusal=violation.sentence)


def _stale(notice_id: int) -> Response:
    events.rollback()
    sentence = "Somebody has changed it since you looked. This is how it stands now: look once more."
    return _notice_page(_found(notice_id), clock.utcnow(), 409, refusal=sentence)


def _found(notice_id: int, *, to_change: bool = False) -> Notice:
    found = queries.notice_by_id(notice_id, to_change=to_change)
    if found is None:
        abort(404)
    return found


def _saved(notice: Notice, sentence: str) -> Response:
    address = _address(notice.id)
    events.commit()
    flash(sentence)
    return redirect_to(address)


def _address(notice_id: int) -> str:
    return url_for("admin_notices.notice", notice_id=notice_id)


def _ids(name: str) -> list[int]:
    """The ids an address names; what is none is left out."""
    return [
        int(each) for each in request.args.getlist(name)[:500] if each.isascii() and each.isdigit() and len(each) < 10
    ]


def _reader_id() -> int | None:
    found = request.args.get("reader_id", "")
    return int(found) if found.isascii() and found.isdigit() and len(found) < 10 else None


def _choose(form: NoticeForm, chosen: Chosen) -> None:
    form.to.data = EVERYONE if chosen.everyone else SOME
    for kind in NAMED:
        form[kind].data = list(getattr(chosen, kind))


def _fill_in(form: NoticeForm, found: Notice) -> None:
    _choose(form, found.to)
    form.version.data = str(found.version)
    for language, wording in found.wordings.items():
        place = "" if language == "en" else f"_{language}"
        form[f"subject{place}"].data, form[f"body{place}"].data = wording["subject"], wording["body"]


def _preview(form: NoticeForm, now: datetime) -> Preview:
    is_typed = bool(form.subject.data or form.body.data)
    wordings = form.wordings() if is_typed else {"en": {"subject": "Your subject", "body": "Your text"}}
    return preview_of(wordings, form.chosen(), now, reader=(form.reader.data or "")[:200])


def _preview_of(found: Notice, now: datetime) -> Preview:
    return preview_of(
        found.wordings,
        found.to,
        now,
        reader=request.args.get("reader", "")[:200],
        reader_id=_reader_id(),
        language=request.args.get("language"),
    )


def _writing_page(form: NoticeForm, found: Notice | None, now: datetime, status: int = 200) -> Response:
    companies = queries.names_of(Chosen.of(companies=form.companies.data)).get("companies", ())
    return render(
        "admin/broadcasts/notices/write.html",
        "admin/broadcasts/notices/_notice_form.html",
        status,
        form=form,
        notice=found,
        is_stale=status == 409,
        choices=queries.choices(),
        companies=companies,
        variables=VARIABLES,
        preview=_preview(form, now),
        languages=LANGUAGES,
    )


def _notice_page(
    found: Notice,
    now: datetime,
    status: int = 200,
    *,
    schedule_form: ScheduleForm | None = None,
    refusal: str = "",
) -> Response:
    let_frames_show_ours()
    seen = _preview_of(found, now)
    return render(
        "admin/broadcasts/notices/notice.html",
        "admin/broadcasts/notices/_notice.html",
        status,
        notice=found,
        preview=seen,
        chosen=queries.names_of(found.to),
        reader=request.args.get("reader", "")[:200],
        schedule_form=schedule_form or _schedule_form(found, now),
        row_form=RowForm(formdata=None, obj=found),
        refusal=refusal,
        zone=str(reader_zone()),
        languages=LANGUAGES,
        now=now,
    )


def _schedule_form(found: Notice, now: datetime) -> ScheduleForm:
    form = ScheduleForm(formdata=None, obj=found)
    local = (found.due_at or now).astimezone(reader_zone())
    form.due.data, form.due_time.data = (local.date(), local.time()) if found.due_at else (local.date(), None)
    return form
