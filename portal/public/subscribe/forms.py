"""The shape of signing up, and of choosing again later."""

from collections.abc import Collection, Iterable
from itertools import groupby

from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from wtforms import BooleanField, HiddenField, RadioField, SelectField, SelectMultipleField, StringField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # newer than its stubs
from wtforms.validators import InputRequired, Length

from portal.catalogue.queries import LiveComponent, live_components
from portal.catalogue.rules import component_topic
from portal.errors import RuleViolation
from portal.language import LANGUAGES
from portal.notifications.kinds import told_to_subscribers
from portal.notifications.subscribers.rules import finer_in, kinds_in

ALL, SOME = "all", "some"


def by_group(components: Iterable[LiveComponent]) -> list[tuple[str, list[LiveComponent]]]:
    """Components under the names of their groups, in their order; those of no group under an empty one."""
    return [
        (name, list(each)) for name, each in groupby(components, key=lambda each: each.group.name if each.group else "")
    ]


class ChoiceForm(FlaskForm):
    """What to hear of, of which components, and in which language.

    Components are named by their public ids; what subscribers hold is the topic of the row.
    """

    kinds = SelectMultipleField(_("What about"), validate_choice=False)
    scope = RadioField(
        _("Of what"),
        choices=[SelectChoice(ALL, _("Everything here")), SelectChoice(SOME, _("Only what I tick"))],
        default=ALL,
    )
    components = SelectMultipleField(_("Parts"), validate_choice=False)
    language = SelectField(_("Language of the mails"), choices=[SelectChoice(*each) for each in LANGUAGES.items()])

    def offer(self) -> list[LiveComponent]:
        """Read what there is to choose; call it before anything else."""
        self.kinds.choices = [SelectChoice(topic, str(label)) for topic, label in told_to_subscribers().items()]
        found = live_components()
        self.components.choices = [SelectChoice(each.public_id, each.title) for each in found]
        return found

    def show(self, topics: Collection[str], components: Collection[LiveComponent]) -> None:
        """Tick what somebody hears of today."""
        finer = finer_in(topics)
        self.kinds.data = kinds_in(topics)
        self.scope.data = SOME if finer else ALL
        self.components.data = [each.public_id for each in components if component_topic(each.id) in finer]

    def topics(self, components: Collection[LiveComponent], kept: Collection[str] = ()) -> list[str]:
        """What was chosen, as topics. `kept` narrows too though it cannot be chosen here, such as a service.

        RuleViolation where only some components are wanted and none is ticked.
        """
        chosen = list(self.kinds.data or ())
        if self.scope.data != SOME:
            return chosen
        ticked = set(self.components.data or ())
        finer = [component_topic(each.id) for each in components if each.public_id in ticked]
        if not finer:
            raise RuleViolation(str(_("Tick at least one part, or choose everything.")), "components")
        shown = {component_topic(each.id) for each in components}
        return [*chosen, *finer, *(each for each in finer_in(kept) if each not in shown)]

    def refuse(self, violation: RuleViolation) -> None:
        """Put a refusal beside the field it is about."""
        field = self._fields.get(violation.field or "")
        if field is None:
            self.form_errors.append(violation.sentence)
        else:
            field.errors = [*field.errors, violation.sentence]


class SignUpForm(ChoiceForm):
    """An address and what it is to hear of. `website` is a field no person sees."""

    address = StringField(
        _("E-mail address"),
        validators=[
            InputRequired(_("Type an e-mail address.")),
            Length(max=254, message=_("An e-mail address has at most 254 characters.")),
        ],
    )
    is_shared = BooleanField(_("Several people read this mailbox"))
    website = StringField(_("Leave this empty"))


class WebhookForm(ChoiceForm):
    """The address of a machine and what it is to hear of."""

    address = StringField(
        _("Address of the webhook"),
        validators=[
            InputRequired(_("Type the address your machine answers at.")),
            Length(max=1000, message=_("An address has at most 1000 characters.")),
        ],
    )
    website = StringField(_("Leave this empty"))


class ManageForm(ChoiceForm):
    """The same of somebody who is subscribed, at the version they saw."""

    version = HiddenField(validators=[InputRequired()])


class LinkForm(FlaskForm):
    """The address of somebody who has no working link at hand."""

    address = StringField(
        _("E-mail address"),
        validators=[
            InputRequired(_("Type the e-mail address you subscribed with.")),
            Length(max=254, message=_("An e-mail address has at most 254 characters.")),
        ],
    )
    website = StringField(_("Leave this empty"))
