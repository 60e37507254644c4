"""The only writers of alerts: making and changing them, and looking at those that are due."""

from portal.alerts.actions.evaluating import evaluate as evaluate
from portal.alerts.actions.evaluating import evaluate_all as evaluate_all
from portal.alerts.actions.evaluating import reading_now as reading_now
from portal.alerts.actions.evaluating import tell_staff as tell_staff
from portal.alerts.actions.following import follow as follow
from portal.alerts.actions.writing import add_alert as add_alert
from portal.alerts.actions.writing import archive_alert as archive_alert
from portal.alerts.actions.writing import checked_wish as checked_wish
from portal.alerts.actions.writing import edit_alert as edit_alert
from portal.alerts.actions.writing import set_rights as set_rights
from portal.alerts.actions.writing import set_threshold as set_threshold
from portal.alerts.actions.writing import switch_alert as switch_alert
from portal.alerts.actions.writing import wanted_of as wanted_of
