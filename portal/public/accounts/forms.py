"""The shape of what sign-in is sent."""

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
