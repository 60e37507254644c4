"""Who is told that the status of a service has changed: the kind "service_status", each person once a broadcast."""

from portal.services.mails.kinds import SERVICE_STATUS as SERVICE_STATUS
from portal.services.mails.kinds import TEST as TEST
from portal.services.mails.telling import tell as tell
