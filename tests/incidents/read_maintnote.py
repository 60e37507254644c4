"""Reads a mail with `circuit-maintenance-parser`, as programs of customers’ networks do, and prints what it found."""

import json
import sys
from pathlib import Path

from circuit_maintenance_parser import NotificationData, init_provider

DATA = NotificationData.init_from_email_bytes(Path(sys.argv[1]).read_bytes())
FOUND = init_provider("genericprovider").get_maintenances(DATA)
print(json.dumps([json.loads(each.to_json()) for each in FOUND]))
