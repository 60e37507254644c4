"""Custom wording: what customers of a portal domain read for each severity, state and service status."""

from flask import abort, flash, request
from werkzeug.wrappers import Response

from portal import access, clock, events
from portal.admin.portals.forms import WordingForm, field_name
from portal.admin.portals.place import LIST, blueprint, domain_or_404, show
from portal.domains import actions
from portal.domains.models import PortalDomain
from portal.domains.rules.wordings import WORDED
from portal.errors import RuleViolation, StaleEdit
from portal.filters import LOOKS, default_words
from portal.fragments import redirect_to
from portal.language import LANGUAGES

TITLES = {"severity": "Severities", "state": "States of an incident", "service": "Service statuses"}
STALE = "Somebody else changed this portal domain in the meantime. Yours stands below; save again to keep it."


@blueprint.get("/<int:domain_id>/wording")
def wording(domain_id: int) -> Response:
    """The wordings in one language: that of the domain unless another is asked for."""
    domain = domain_or_404(domain_id)
    language = request.args.get("language", domain.language)
    if language not in LANGUAGES:
        abort(404)
    own = {field_name(key): word for key, word in domain.wordings.get(language, {}).items()}
    return _wording(domain, WordingForm(formdata=None, version=domain.version, language=language, **own))


@blueprint.post("/<int:domain_id>/wording")
def set_wording(domain_id: int) -> Response:
    domain, form = domain_or_404(domain_id), WordingForm()
    if not form.validate_on_submit():
        return _wording(domain, form, 422) if form.language.data in LANGUAGES else abort(422)
    language = form.language.data
    try:
        count = actions.set_wordings(
            domain,
            language,
            form.wordings,
            defaults=default_words(language),
            version=form.version.data or 0,
            by=access.actor(),
            now=clock.utcnow(),
        )
    except RuleViolation as violation:
        form.refuse(RuleViolation(violation.sentence, field_name(violation.field or "")))
        return _wording(domain, form, 422)
    except StaleEdit:
        events.rollback()
        domain = domain_or_404(domain_id)
        form.form_errors.append(STALE)
        form.version.data = domain.version
        return _wording(domain, form, 409)
    events.commit()
    named = LANGUAGES[language]
    flash(f"Saved: {count} of them in this portal’s own words ({named})." if count else f"All as usual ({named}).")
    return redirect_to(f"{LIST}/{domain_id}/wording?language={language}")


def _wording(domain: PortalDomain, form: WordingForm, status: int = 200) -> Response:
    english = default_words("en")
    staff_words = {
        f"{kind}.{value}": str(LOOKS["staff_severity"][value].label)
        if kind == "severity"
        else english[f"{kind}.{value}"]
        for kind, values in WORDED.items()
        for value in values
    }
    return show(
        "wording",
        domain,
        status,
        form=form,
        worded=WORDED,
        titles=TITLES,
        staff_words=staff_words,
        defaults=default_words(form.language.data),
        languages=LANGUAGES,
    )
