"""The only writers of incidents and maintenance: publish, update, edit, and record what is long over.

Each keeps severities, intervals and packed history in step with the timeline (upkeep), rings exactly those who
see something else than before, and queues the mail in the same transaction.
"""

from portal.incidents.actions.base import end_base_status as end_base_status
from portal.incidents.actions.base import look_after_base as look_after_base
from portal.incidents.actions.base import set_base_status as set_base_status
from portal.incidents.actions.editing import edit as edit
from portal.incidents.actions.following import acknowledge as acknowledge
from portal.incidents.actions.following import follow as follow
from portal.incidents.actions.following import note_seen as note_seen
from portal.incidents.actions.merging import merge as merge
from portal.incidents.actions.nagging import hand_over as hand_over
from portal.incidents.actions.nagging import remind as remind
from portal.incidents.actions.postmortems import discard_postmortem as discard_postmortem
from portal.incidents.actions.postmortems import publish_postmortem as publish_postmortem
from portal.incidents.actions.postmortems import write_postmortem as write_postmortem
from portal.incidents.actions.publishing import backfill as backfill
from portal.incidents.actions.publishing import publish as publish
from portal.incidents.actions.telling import KIND as KIND
from portal.incidents.actions.telling import compose as compose
from portal.incidents.actions.telling import facts_of as facts_of
from portal.incidents.actions.updating import edit_update as edit_update
from portal.incidents.actions.updating import post_update as post_update
from portal.incidents.actions.writing import BODY_LENGTH as BODY_LENGTH
from portal.incidents.actions.writing import TITLE_LENGTH as TITLE_LENGTH
from portal.incidents.actions.writing import PastUpdate as PastUpdate
