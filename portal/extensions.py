"""The Flask extensions, created unbound; `create_app` binds them."""

from typing import Any

from flask import g, request
from flask_babel import Babel
from flask_login import LoginManager
from flask_mail import Mail
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from flask_wtf.csrf import CSRFError, CSRFProtect
from htmx_flask import Htmx
from sqlalchemy import Executable

from portal.database import Base
from portal.prepared import prepared


class FormProtection(CSRFProtect):
    """Form tokens, and beside them the browser's own word on which site a form was sent from.

    What is exempt from tokens (one-click unsubscribe) is exempt from both.
    """

    def protect(self, apply_exemptions: bool = False) -> None:
        super().protect(apply_exemptions=apply_exemptions)
        if g.get("csrf_valid") and request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
            raise CSRFError("The form was sent from another site.")


db = SQLAlchemy(model_class=Base)
login_manager = LoginManager()
mail = Mail()
csrf = FormProtection()
migrate = Migrate()
babel = Babel()
htmx = Htmx()


def rows(statement: Executable, **values: Any) -> list[Any]:
    """The rows of a statement that selects columns, read on the session's own connection and in its transaction.

    For statements built once that every open page asks: it leaves out what the ORM and SQLAlchemy do for each
    execution, which costs more than they do. What is pending is flushed first, as the ORM does it.
    """
    session = db.session()
    if session.autoflush:
        session.flush()
    return prepared(statement).rows(session.connection(), values)
