"""`/admin/metrics`: what is measured, for everybody or about one company; charts, and samples out of files."""

import csv
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TypeVar

from flask import Blueprint, abort, flash, request
from werkzeug.wrappers import Response

from portal import access, clock, events
from portal.accounts.rules import Permission
from portal.admin.forms import RowForm, company_called, page_wanted, text_wanted
from portal.admin.metrics.forms import MEASURES, EditMetricForm, MetricForm, NewMetricForm, UploadForm
from portal.catalogue.queries.lists import all_services
from portal.domains.queries import all_domains
from portal.errors import RuleViolation, StaleEdit
from portal.fragments import redirect_to, render
from portal.language import reader_zone
from portal.usage import actions, queries
from portal.usage.models import Metric
from portal.usage.rules import Line, Measure, Span, rows_of

blueprint = Blueprint("admin_metrics", __name__, url_prefix="/admin/metrics")
access.staff(blueprint, Permission.CATALOGUE_EDIT)

F = TypeVar("F", bound=MetricForm)

LIST = "/admin/metrics"
STALE = "Somebody else saved this metric in the meantime. Yours stands below; save again to put it over theirs."


@blueprint.get("")
def metric_list() -> Response:
    """Every metric with its newest sample, 50 a page."""
    text, show = text_wanted(), request.args.get("show", "")
    if show not in {"", "archived"}:
        abort(404)
    found = queries.metric_page(page_wanted(), text=text, is_archived=show == "archived") or abort(404)
    return render(
        "admin/metrics/metrics.html",
        "admin/metrics/_metrics.html",
        found=found,
        newest=queries.latest(each.id for each in found.items),
        brands=_brands(),
        text=text,
        show=show,
        tabs=[("In use", LIST, not show), ("Archived", f"{LIST}?show=archived", bool(show))],
    )


@blueprint.route("/new", methods=["GET", "POST"])
def new_metric() -> Response:
    form = _offered(NewMetricForm())
    if not form.validate_on_submit():
        return _form(form, None, 422 if form.is_submitted() else 200)
    try:
        name = (form.company.data or "").strip()
        company_id = company_called(name).id if name else None
        made = actions.add_metric(form.wanted(company_id), by=access.actor(), now=clock.utcnow())
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _form(form, None, 422)
    address = f"{LIST}/{made.id}"
    events.commit()
    flash("Added. Its chart begins with its first sample.")
    return redirect_to(address)


@blueprint.get("/<int:metric_id>")
def metric_page(metric_id: int) -> Response:
    """Its chart over a day, week, month or year, how samples come in, and what may be done with it."""
    return _page(_wanted(metric_id), UploadForm(formdata=None), [], 200)


@blueprint.route("/<int:metric_id>/edit", methods=["GET", "POST"])
def edit_metric(metric_id: int) -> Response:
    metric = _wanted(metric_id)
    names = ("name", "key", "unit", "decimals", "interval", "position", "trunk", "is_shown", "version")
    form = _offered(
        EditMetricForm(
            data={name: getattr(metric, name) for name in names}
            | {"service": metric.service_id or 0, "portals": [each.domain_id for each in metric.portals]}
            | {"measure": (metric.measure or Measure.CUSTOM).value, "debit_limit": _written(metric.debit_limit)}
        )
    )
    if not form.validate_on_submit():
        return _form(form, metric, 422 if form.is_submitted() else 200)
    try:
        actions.edit_metric(
            metric,
            form.wanted(metric.company_id),
            version=form.version.data or 0,
            by=access.actor(),
            now=clock.utcnow(),
        )
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _form(form, _wanted(metric_id), 422)
    except StaleEdit:
        events.rollback()
        newer = _wanted(metric_id)
        form.form_errors.append(STALE)
        form.version.data = newer.version
        return _form(form, newer, 409)
    events.commit()
    flash("Saved.")
    return redirect_to(f"{LIST}/{metric_id}")


@blueprint.post("/<int:metric_id>/archive")
def archive_metric(metric_id: int) -> Response:
    return _put(metric_id, actions.archive_metric, "Archived. No more samples of it are taken, and no page shows it.")


@blueprint.post("/<int:metric_id>/restore")
def restore_metric(metric_id: int) -> Response:
    return _put(metric_id, actions.restore_metric, "It is measured again.")


@blueprint.post("/<int:metric_id>/samples")
def upload_samples(metric_id: int) -> Response:
    """Take a file of times and values; what is wrong in it is named line by line, and the rest is taken."""
    metric, form = _wanted(metric_id), UploadForm()
    if not form.validate_on_submit():
        return _page(metric, form, [], 422)
    try:
        rows = _rows(form.file.data.read()) if form.file.data else []
        taken, wrong = actions.take_file(metric, rows, by=access.actor(), now=clock.utcnow())
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _page(_wanted(metric_id), form, [], 422)
    except actions.BadSamplesError as refused:
        events.rollback()
        form.refuse(RuleViolation(next(iter(refused.sentences.values())), "file"))
        return _page(_wanted(metric_id), form, [], 422)
    events.commit()
    said = f"{taken.taken:,} samples taken, {taken.known:,} were there already."
    if wrong:
        form.form_errors.append(f"{said} {len(wrong):,} lines were not taken.")
        return _page(_wanted(metric_id), form, wrong, 422)
    flash(said)
    return redirect_to(f"{LIST}/{metric_id}")


def _rows(content: bytes) -> list[list[str]]:
    """The lines of a file, parted by commas, semicolons or tabs, whichever its first one has."""
    try:
        text = content.decode("utf-8-sig")
        first = text.partition("\n")[0]
        mark = next((each for each in (";", "\t") if each in first), ",")
        return list(csv.reader(text.splitlines(), delimiter=mark, strict=True))
    except (UnicodeDecodeError, csv.Error):
        raise RuleViolation("This file is no table of text in UTF-8.", "file") from None


def _page(metric: Metric, form: UploadForm, wrong: Sequence[Line], status: int) -> Response:
    now, asked = clock.utcnow(), request.args.get("span", Span.DAY.value)
    span = next((each for each in Span if each.value == asked), None) or abort(404)
    drawn = queries.chart_of(metric, span, now, reader_zone())
    form.version.data = metric.version
    at = f"{LIST}/{metric.id}"
    return render(
        "admin/metrics/metric.html",
        "admin/metrics/_metric.html",
        status,
        metric=metric,
        drawn=drawn,
        rows=rows_of(drawn),
        spans=[(each.value.capitalize(), f"{at}?span={each.value}", each is span) for each in Span],
        newest=queries.latest([metric.id]).get(metric.id),
        earliest=queries.earliest_taken(metric, now),
        brands=_brands(),
        measures=MEASURES,
        form=form,
        wrong=wrong[: actions.WRONG_AT_MOST],
        wrong_count=len(wrong),
        at=at,
    )


def _put(metric_id: int, action: Callable[..., None], done: str) -> Response:
    metric, form = _wanted(metric_id), RowForm()
    if not form.validate_on_submit():
        abort(422)
    action(metric, version=form.version.data or 0, by=access.actor(), now=clock.utcnow())
    events.commit()
    flash(done)
    return redirect_to(f"{LIST}/{metric_id}")


def _form(form: MetricForm, metric: Metric | None, status: int) -> Response:
    return render(
        "admin/metrics/metric_form.html", "admin/metrics/_metric_form.html", status, form=form, metric=metric, at=LIST
    )


def _offered(form: F) -> F:
    form.offer(((each.id, each.name) for each in all_services()), _brands().items())
    return form


def _written(limit: Decimal | None) -> str:
    return "" if limit is None else f"{limit.normalize():f}"


def _brands() -> dict[int, str]:
    return {each.id: each.brand for each in all_domains()}


def _wanted(metric_id: int) -> Metric:
    return queries.metric_by_id(metric_id) or abort(404)
