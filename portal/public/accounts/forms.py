"""The shape of what sign-in, and the ways back to it, are sent."""

from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from wtforms import HiddenField, PasswordField, StringField
from wtforms.validators import InputRequired, Length


class SignInForm(FlaskForm):
    """Address and password; `next` is the path that was wanted before."""

    email = StringField(
        _("E-mail address"),
        validators=[
            InputRequired(_("Type the e-mail address you are known by here.")),
            Length(max=254, message=_("An e-mail address has at most 254 characters.")),
        ],
    )
    password = PasswordField(
        _("Password"),
        validators=[
            InputRequired(_("Type your password.")),
            Length(max=1024, message=_("A password has at most 128 characters.")),
        ],
    )
    next = HiddenField()


class CodeForm(FlaskForm):
    """A code of the authenticator app, or a recovery code."""

    code = StringField(
        _("Code"),
        validators=[
            InputRequired(_("Type the code your app shows.")),
            Length(max=40, message=_("A code is shorter than that.")),
        ],
    )


class ConfirmForm(FlaskForm):
    """One's own password again; `next` is the path that needs it."""

    password = PasswordField(
        _("Password"),
        validators=[
            InputRequired(_("Type your password.")),
            Length(max=1024, message=_("A password has at most 128 characters.")),
        ],
    )
    next = HiddenField()


class ResetForm(FlaskForm):
    """The address of somebody who cannot sign in."""

    email = StringField(
        _("E-mail address"),
        validators=[
            InputRequired(_("Type the e-mail address you are known by here.")),
            Length(max=254, message=_("An e-mail address has at most 254 characters.")),
        ],
    )


class NewPasswordForm(FlaskForm):
    """A password that was never used before here."""

    password = PasswordField(
        _("New password"),
        validators=[InputRequired(_("Choose a password.")), Length(max=5000, message=_("That is too long."))],
    )
