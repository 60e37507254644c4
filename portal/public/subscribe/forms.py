"""The shape of signing up, and of choosing again later."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import groupby

from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from wtforms import BooleanField, HiddenField, RadioField, SelectField, SelectMultipleField, StringField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # newer than its stubs
from wtforms.validators import InputRequired, Length

from portal import access
from portal.catalogue.queries import LiveComponent, live_components
from portal.catalogue.rules import component_topic, service_topic
from portal.errors import RuleViolation
from portal.language import LANGUAGES
from portal.notifications.kinds import told_to_subscribers
from portal.notifications.subscribers.rules import finer_in, kinds_in
from portal.services.queries.everybody import told_to_all

ALL, SOME = "all", "some"


@dataclass(frozen=True)
class Parts:
    """What somebody may choose to hear of: components, and services (id, name) that every company has."""

    components: list[LiveComponent]
    services: list[tuple[int, str]]

    def __bool__(self) -> bool:
        return bool(self.components or self.services)

    def topics(self) -> dict[tuple[str, str], str]:
        """The topic of each part, by the name of its field and what is ticked there."""
        return {("components", each.public_id): component_topic(each.id) for each in self.components} | {
            ("services", str(service_id)): service_topic(service_id) for service_id, _name in self.services
        }


def by_group(components: Iterable[LiveComponent]) -> list[tuple[str, list[LiveComponent]]]:
    """Components under the names of their groups, in their order; those of no group under an empty one."""
    return [
        (name, list(each)) for name, each in groupby(components, key=lambda each: each.group.name if each.group else "")
    ]


class ChoiceForm(FlaskForm):
    """What to hear of, of which components and services, and in which language.

    Components are named by their public ids; what subscribers hold is the topic of the row.
    """

    kinds = SelectMultipleField(_("What about"), validate_choice=False)
    scope = RadioField(
        _("Of what"),
        choices=[SelectChoice(ALL, _("Everything here")), SelectChoice(SOME, _("Only what I tick"))],
        default=ALL,
    )
    components = SelectMultipleField(_("Parts"), validate_choice=False)
    services = SelectMultipleField(_("Services"), validate_choice=False)
    language = SelectField(_("Language of the mails"), choices=[SelectChoice(*each) for each in LANGUAGES.items()])

    def offer(self) -> Parts:
        """Read what there is to choose here; call it before anything else. Three queries at most."""
        self.kinds.choices = [SelectChoice(topic, str(label)) for topic, label in told_to_subscribers().items()]
        parts = Parts(live_components(), told_to_all(access.portal()))
        self.components.choices = [SelectChoice(each.public_id, each.title) for each in parts.components]
        self.services.choices = [SelectChoice(str(service_id), name) for service_id, name in parts.services]
        return parts

    def show(self, topics: Collection[str], parts: Parts) -> None:
        """Tick what somebody hears of today."""
        finer = finer_in(topics)
        ticked = [named for named, topic in parts.topics().items() if topic in finer]
        self.kinds.data = kinds_in(topics)
        self.scope.data = SOME if finer else ALL
        self.components.data = [value for field, value in ticked if field == self.components.name]
        self.services.data = [value for field, value in ticked if field == self.services.name]

    def topics(self, parts: Parts, kept: Collection[str] = ()) -> list[str]:
        """What was chosen, as topics. `kept` narrows too though it cannot be chosen here, such as a service of some.

        RuleViolation where only some parts are wanted and none is ticked.
        """
        chosen = list(self.kinds.data or ())
        if self.scope.data != SOME:
            return chosen
        ticked = {(field.name, value) for field in (self.components, self.services) for value in field.data or ()}
        offered = parts.topics()
        finer = [topic for named, topic in offered.items() if named in ticked]
        if not finer:
            raise RuleViolation(str(_("Tick at least one part, or choose everything.")), "components")
        return [*chosen, *finer, *sorted(finer_in(kept) - set(offered.values()))]

    def refuse(self, violation: RuleViolation) -> None:
        """Put a refusal beside the field it is about."""
        field = self._fields.get(violation.field or "")
        if field is None:
            self.form_errors.append(violation.sentence)
        else:
            field.errors = [*field.errors, violation.sentence]


class RoomForm(ChoiceForm):
    """The address of a room of Slack or Teams and what it is to hear of."""

    language = SelectField(_("Language"), choices=[SelectChoice(*each) for each in LANGUAGES.items()])
    address = StringField(
        _("Address of the room"),
        validators=[
            InputRequired(_("Paste the address that Slack or Teams shows for incoming webhooks.")),
            Length(max=1000, message=_("An address has at most 1000 characters.")),
        ],
    )
    website = StringField(_("Leave this empty"))


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
    """The same of somebody who is subscribed, at the version they saw; and what they follow, by its public id."""

    followed = SelectMultipleField(_("Followed by itself"), validate_choice=False)
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
