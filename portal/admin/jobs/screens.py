"""The screens of one kind of work. Jobs and quotes have the same, and each its own addresses."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any
from urllib.parse import parse_qsl

from flask import Blueprint, Response, abort, flash, request
from sqlalchemy.orm.exc import StaleDataError

from portal import access, clock, events, writing
from portal.accounts.rules import STAFF, Permission, may
from portal.admin.forms import choices_of, page_wanted
from portal.admin.jobs.filters import (
    STAGE_WORDS,
    WINDOW_WORDS,
    filters_wanted,
    query_of,
    sorted_by,
)
from portal.admin.jobs.forms import (
    BLANK_ROWS,
    DayForm,
    EditItemForm,
    FactsForm,
    LineRow,
    MoveForm,
    NewItemForm,
    ViewForm,
    day_end,
    fresh_key,
    lines_typed,
    refused_rows,
    rows_of,
    rows_sent,
    versions_sent,
)
from portal.admin.jobs.words import window_words
from portal.admin.work_sheet.routes import sheet_address
from portal.catalogue.queries.lists import company_by_id
from portal.errors import RuleViolation, StaleEdit
from portal.files.queries import files_of
from portal.fragments import redirect_to, render
from portal.jobs import actions, queries
from portal.jobs.actions import items as editing
from portal.jobs.actions.moves import Moved, Outcome
from portal.jobs.actions.saved_views import delete_view, save_view
from portal.jobs.models import WorkItem
from portal.jobs.queries import items as reading
from portal.jobs.queries.items import Sort, is_overdue
from portal.jobs.queries.outages import delays_of
from portal.jobs.rules import PLURALS, Role, StatusTable, Unseen, WorkKind, resolve, written_number
from portal.jobs.rules.amounts import LINES_AT_MOST, line_net, money, totals, written
from portal.jobs.subjects import ref_of
from portal.language import reader_zone

STALE = "Somebody has changed it since you looked. This is how it stands now: look once more."

SORTS = (
    (Sort.NUMBER, "Number"),
    (Sort.TITLE, "What"),
    (Sort.COMPANY, "Company"),
    (Sort.STATUS, "Status"),
    (Sort.WINDOW, "When"),
    (Sort.ASSIGNEE, "Who"),
)
"""The columns of the list, each with what it is sorted by."""


class Screens:
    """The views of a kind; `blueprint` has their addresses."""

    def __init__(self, kind: WorkKind) -> None:
        self.kind = kind
        self.base = f"/admin/{PLURALS[kind]}"
        self.blueprint = Blueprint(f"admin_{PLURALS[kind]}", __name__, url_prefix=self.base)
        access.staff(self.blueprint, Permission.STAFF_ENTER)
        add = self.blueprint.add_url_rule
        both = ["GET", "POST"]
        add("", "item_list", self.item_list)
        add("/board", "board", self.board)
        add("/board/move", "board_move", self.board_move, methods=["POST"])
        add("/bulk", "bulk", self.bulk, methods=["POST"])
        add("/new", "new", self.new, methods=both)
        add("/views", "keep_view", self.keep_view, methods=["POST"])
        add("/views/<int:view_id>/delete", "remove_view", self.remove_view, methods=["POST"])
        add("/<number>", "item", self.item)
        add("/<number>/edit", "edit", self.edit, methods=both)
        add("/<number>/move", "move", self.move, methods=["POST"])
        if kind is WorkKind.QUOTE:
            add("/<number>/lines", "lines", self.lines, methods=both)

    # Many

    def item_list(self) -> Response:
        """Items by number, narrowed and sorted as the address says."""
        return self._list(ViewForm(formdata=None))

    def _list(self, view_form: ViewForm, status: int = 200) -> Response:
        filters, now = filters_wanted(), clock.utcnow()
        zone = reader_zone()
        found = reading.items_page(self.kind, filters, page_wanted(), now, zone)
        me = access.signed_in().person_id
        query = query_of(filters)
        view_form.query.data = query
        return self._render(
            "list",
            status,
            found=found,
            filters=filters,
            query=query,
            query_of=query_of,
            columns=[(title, column, sorted_by(filters, column)) for column, title in SORTS],
            table=queries.settings_of(self.kind).table,
            people=reading.staff_choices(),
            company=company_by_id(filters.company_id) if filters.company_id else None,
            views=reading.saved_views(self.kind, me),
            view_form=view_form,
            delays=delays_of(found.items, STAFF, now),
            is_overdue=lambda item: is_overdue(item, now),
            me=me,
            windows=WINDOW_WORDS,
            stages=STAGE_WORDS,
            work_sheet=sheet_address(),
        )

    def board(self) -> Response:
        """The same by status, with what stands first of each."""
        return self._board()

    def _board(self, status: int = 200, refusal: str = "", asked: tuple[WorkItem, int] | None = None) -> Response:
        filters, now = filters_wanted(), clock.utcnow()
        table = queries.settings_of(self.kind).table
        found = reading.board(self.kind, table, filters, now, reader_zone())
        shown = [item for column in found.columns for item in column.items]
        return self._render(
            "board",
            status,
            board=found,
            filters=filters,
            query=query_of(filters),
            query_of=query_of,
            table=table,
            people=reading.staff_choices(),
            company=company_by_id(filters.company_id) if filters.company_id else None,
            delays=delays_of(shown, STAFF, now),
            is_overdue=lambda item: is_overdue(item, now),
            me=access.signed_in().person_id,
            refusal=refusal,
            asked=asked,
            windows=WINDOW_WORDS,
            work_sheet=sheet_address(),
        )

    def board_move(self) -> Response:
        """Move one card, given as number, version and status; the board as it stands then.

        409 with the board where somebody else was quicker; 422 where a reason is needed, with a field for it.
        """
        access.require(Permission.WORK_EDIT)
        written_as, _, rest = request.form.get("go", "").partition(":")
        version, _, wanted = rest.partition(":")
        if not all(each.isascii() and each.isdigit() and len(each) < 10 for each in (version, wanted)):
            abort(422)
        found = self._found(written_as)
        refused: RuleViolation | None = None
        try:
            actions.move(
                found,
                int(wanted),
                version=int(version),
                reason=request.form.get("reason", ""),
                by=access.actor(),
                now=clock.utcnow(),
            )
            events.commit()
        except (StaleEdit, StaleDataError):
            events.rollback()
            return self._board(409, f"{written_as} was changed by somebody else. The board shows how it stands now.")
        except RuleViolation as violation:
            events.rollback()
            refused = violation
        if refused is not None:
            asked = (self._found(written_as), int(wanted)) if refused.field == "reason" else None
            return self._board(422, refused.sentence, asked)
        if request.headers.get("HX-Request") == "true":
            return self._board()
        query = query_of(filters_wanted())
        return redirect_to(f"{self.base}/board{'?' + query if query else ''}")

    def bulk(self) -> Response:
        """Move all ticked items, or give them to somebody; what became of each."""
        access.require(Permission.WORK_EDIT)
        versions, by, now = versions_sent(), access.actor(), clock.utcnow()
        sentence, results = "", list[Moved]()
        try:
            if not versions:
                raise RuleViolation("Nothing was ticked. Go back and tick what is to change.")
            if request.form.get("do") == "assign":
                results = editing.assign_many(self.kind, versions, _id_sent("assignee"), by=by, now=now)
            else:
                results = actions.move_many(
                    self.kind,
                    versions,
                    _id_sent("status") or 0,
                    reason=request.form.get("reason", ""),
                    by=by,
                    now=now,
                )
            events.commit()
        except RuleViolation as violation:
            events.rollback()
            sentence = violation.sentence
        query = query_of(filters_wanted())
        done = sum(each.outcome in {Outcome.MOVED, Outcome.UNCHANGED} for each in results)
        return self._render(
            "bulk",
            422 if sentence else 200,
            results=results,
            titles=reading.titles_of(self.kind, [each.item_id for each in results]),
            sentence=sentence,
            done=done,
            back=f"{self.base}{'?' + query if query else ''}",
        )

    # Views

    def keep_view(self) -> Response:
        """Keep the filters of the list under a name."""
        form = ViewForm()
        me = access.signed_in().person_id
        if not form.validate_on_submit():
            return self._list(form, 422)
        query = query_of(filters_wanted(_pairs(form.query.data or "")))
        try:
            save_view(
                self.kind, me, form.name.data or "", query, is_shared=bool(form.is_shared.data), now=clock.utcnow()
            )
        except RuleViolation as violation:
            events.rollback()
            form.refuse(violation)
            return self._list(form, 422)
        events.commit()
        flash("Kept. It stands above the list.")
        return redirect_to(f"{self.base}{'?' + query if query else ''}")

    def remove_view(self, view_id: int) -> Response:
        """Remove a view of one's own."""
        if not delete_view(self.kind, access.signed_in().person_id, view_id):
            abort(404)
        events.commit()
        flash("The view is removed.")
        return redirect_to(self.base)

    # One

    def item(self, number: str) -> Response:
        """One item: what it says, where it stands, what its customer sees, and what was written."""
        return self._item(self._found(number))

    def _item(
        self, found: WorkItem, status: int = 200, *, refusal: str = "", move_form: MoveForm | None = None
    ) -> Response:
        now, zone = clock.utcnow(), reader_zone()
        settings = queries.settings_of(self.kind)
        view = queries.public_view(found)
        lines = reading.lines_of(found) if self.kind is WorkKind.QUOTE else ()
        day = _day_wanted(zone_today := now.astimezone(zone).date())
        ref = ref_of(found)
        form = move_form or MoveForm(formdata=None, version=found.version, status=found.status_id)
        form.status.choices = _status_choices(settings.table, found.status_id)
        return self._render(
            "item",
            status,
            item=found,
            number=written_number(self.kind, found.number),
            table=settings.table,
            view=view,
            then=queries.public_view(found, min(day_end(day, zone), now)) if day else None,
            day=day,
            today=zone_today,
            yesterday=zone_today - timedelta(days=1),
            moves=reading.past_moves(found),
            lines=lines,
            totals=totals(lines),
            line_net=line_net,
            written=written,
            money=money,
            delays=delays_of([found], STAFF, now).get(found.id, ()),
            is_overdue=is_overdue(found, now),
            files=files_of(STAFF, ref),
            move_form=form,
            refusal=refusal,
            work_sheet=sheet_address(),
            is_hidden=isinstance(resolve(settings.table, found.status_id), Unseen),
            send_to=_send_to(settings.table, found) if lines else None,
            **writing.shown(ref),
        )

    def new(self) -> Response:
        """Make an item: first for which company, then the rest."""
        access.require(Permission.WORK_EDIT)
        form = NewItemForm()
        company_id = request.args.get("company", type=int) or _number_of(form.company_id.data)
        company = company_by_id(company_id) if company_id else None
        if company is None or company.archived_at is not None:
            text = request.args.get("q", "")[:200].strip()
            return self._render("new", company=None, text=text, companies=reading.company_choices(text))
        if not form.is_submitted():
            form.key.data, form.company_id.data = fresh_key(), str(company.id)
            form.assignee_id.data = None
        table = queries.settings_of(self.kind).table
        form.status_id.choices = _status_choices(table, None)
        now = clock.utcnow()
        if not form.validate_on_submit():
            return self._form(form, company.id, None, 422 if form.is_submitted() else 200)
        try:
            added = editing.add_item(
                self.kind,
                company.id,
                form.facts(reader_zone()),
                status_id=form.status_id.data,
                idempotency_key=f"staff:{access.signed_in().person_id}:{form.key.data}",
                by=access.actor(),
                now=now,
            )
        except RuleViolation as violation:
            events.rollback()
            form.refuse(violation)
            return self._form(form, company_id or 0, None, 422)
        address = self._address(added)
        sentence = f"{written_number(self.kind, added.number)} is there."
        events.commit()
        flash(sentence)
        return redirect_to(address)

    def edit(self, number: str) -> Response:
        """Change what an item says."""
        access.require(Permission.WORK_EDIT)
        found = self._found(number)
        form = EditItemForm(obj=found)
        if not form.is_submitted():
            form.show_times(found, reader_zone())
        if not form.validate_on_submit():
            return self._form(form, found.company_id, found, 422 if form.is_submitted() else 200)
        try:
            editing.edit_item(
                found,
                form.facts(reader_zone()),
                version=form.version.data or 0,
                by=access.actor(),
                now=clock.utcnow(),
            )
            address = self._address(found)
            events.commit()
        except RuleViolation as violation:
            events.rollback()
            form.refuse(violation)
            found = self._found(number)
            return self._form(form, found.company_id, found, 422)
        except (StaleEdit, StaleDataError):
            events.rollback()
            newer = self._found(number)
            form.version.data = newer.version
            return self._form(form, newer.company_id, newer, 409)
        flash("Saved.")
        return redirect_to(address)

    def move(self, number: str) -> Response:
        """Move one item to another status."""
        access.require(Permission.WORK_EDIT)
        found, form = self._found(number), MoveForm()
        if not form.validate_on_submit():
            abort(422)
        try:
            moved = actions.move(
                found,
                form.status.data or 0,
                version=form.version.data or 0,
                reason=form.reason.data or "",
                by=access.actor(),
                now=clock.utcnow(),
            )
            address = self._address(found)
            events.commit()
        except RuleViolation as violation:
            events.rollback()
            form.refuse(violation)
            return self._item(self._found(number), 422, move_form=form, refusal=violation.sentence)
        except (StaleEdit, StaleDataError):
            events.rollback()
            return self._item(self._found(number), 409, refusal=STALE)
        if moved.outcome is Outcome.MOVED:
            flash("Moved. The customer sees it." if moved.is_seen else "Moved. For the customer nothing changes.")
        return redirect_to(address)

    def lines(self, number: str) -> Response:
        """What a quote is made of, all lines at once."""
        access.require(Permission.WORK_EDIT)
        found = self._found(number)
        if request.method != "POST":
            return self._lines(found, rows_of(reading.lines_of(found)), found.version)
        version = _number_of(request.form.get("version")) or 0
        rows = rows_sent()
        given, told = lines_typed(rows)
        is_looking = request.form.get("do") == "more" or "move" in request.form
        if is_looking or any(row.errors for row in told):
            return self._lines(found, told, version, status=200 if is_looking else 422)
        try:
            editing.set_lines(found, given, version=version, by=access.actor(), now=clock.utcnow())
            address = self._address(found)
            events.commit()
        except RuleViolation as violation:
            events.rollback()
            refused = refused_rows(told, violation)
            sentence = "" if refused != told else violation.sentence
            return self._lines(self._found(number), refused, version, status=422, refusal=sentence)
        except (StaleEdit, StaleDataError):
            events.rollback()
            newer = self._found(number)
            return self._lines(newer, told, newer.version, status=409)
        flash("Saved.")
        return redirect_to(f"{address}#lines")

    # Parts

    def _lines(
        self, found: WorkItem, rows: Sequence[LineRow], version: int, *, status: int = 200, refusal: str = ""
    ) -> Response:
        given, _told = lines_typed(rows)
        blank = min(BLANK_ROWS, LINES_AT_MOST - len(rows))
        return self._render(
            "lines",
            status,
            item=found,
            number=written_number(self.kind, found.number),
            rows=[*rows, *[LineRow()] * blank],
            version=version,
            refusal=refusal,
            is_stale=status == 409,
            stored=reading.lines_of(found) if status == 409 else (),
            totals=totals(given),
            written=written,
            money=money,
        )

    def _form(self, form: FactsForm, company_id: int, item: WorkItem | None, status: int) -> Response:
        """The form of an item, with what its company has to choose from; what it has already stays a choice."""
        contacts = list(reading.contact_choices(company_id))
        holdings = list(reading.holding_choices(company_id, clock.utcnow()))
        people = list(reading.staff_choices())
        if item is not None:
            contacts = _with(contacts, item.contact_id, item.contact.name if item.contact else "")
            people = _with(people, item.assignee_id, item.assignee.name if item.assignee else "")
            about = f"{item.holding.service.name} {item.holding.reference}".strip() if item.holding else ""
            holdings = _with(holdings, item.holding_id, about)
        form.contact_id.choices = choices_of([("", "Nobody in particular"), *contacts])
        form.holding_id.choices = choices_of([("", "Nothing in particular"), *holdings])
        form.assignee_id.choices = choices_of([("", "Nobody yet"), *people])
        if isinstance(form, NewItemForm):
            form.status_id.choices = _status_choices(queries.settings_of(self.kind).table, None)
        return self._render(
            "form",
            status,
            form=form,
            item=item,
            number=written_number(self.kind, item.number) if item else "",
            company=company_by_id(company_id),
            zone=str(reader_zone()),
            is_stale=status == 409,
        )

    def _found(self, number: str) -> WorkItem:
        return reading.item_for_staff(self.kind, number) or abort(404)

    def _address(self, item: WorkItem) -> str:
        return f"{self.base}/{written_number(self.kind, item.number)}"

    def _render(self, name: str, status: int = 200, **context: Any) -> Response:
        return render(
            f"admin/jobs/{name}.html",
            f"admin/jobs/_{name}.html",
            status,
            kind=self.kind,
            base=self.base,
            one=self.kind.value,
            many=PLURALS[self.kind],
            number_of=written_number,
            window_words=window_words,
            may_edit=may(access.signed_in().role, Permission.WORK_EDIT),
            **context,
        )


def _send_to(table: StatusTable, quote: WorkItem) -> int | None:
    """The status a quote is sent with; None once it has been, and for what is over."""
    present, sent = table.by_id[quote.status_id], table.with_role(Role.SENT)
    return None if present.category.is_terminal or present.id == sent.id else sent.id


def _status_choices(table: StatusTable, present: int | None) -> list[Any]:
    """The statuses an item may be moved to, and the one it is in."""
    rows = [row for row in table.rows if not row.is_archived or row.id == present]
    return choices_of((row.id, row.name) for row in rows)


def _with(choices: list[tuple[int, str]], present: int | None, name: str) -> list[tuple[int, str]]:
    """The choices, and the present one where it is none of them any more."""
    if present is None or present in {each for each, _name in choices}:
        return choices
    return [(present, name), *choices]


def _day_wanted(today: date) -> date | None:
    """The day somebody wants to look back to, if it is one that has begun."""
    form = DayForm(request.args)
    day = form.on.data if form.validate() else None
    return day if isinstance(day, date) and date(2000, 1, 1) <= day <= today else None


def _id_sent(name: str) -> int | None:
    return _number_of(request.form.get(name))


def _number_of(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else None


def _pairs(query: str) -> dict[str, str]:
    return dict(parse_qsl(query))
