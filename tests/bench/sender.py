"""A process that sends bulk mail when it is told to: the product's own sender, and nothing of the house around it.

For each line on its standard input it sends until nothing is due, and answers with one: mails taken, seconds of its
own processor time.
"""

import sys
import threading
import time

from portal import clock, create_app
from portal.database import read_only
from portal.extensions import db
from portal.notifications.sending import Sender


def main() -> None:
    app = create_app()
    with app.app_context():
        read_only.set(False)
        print("ready", flush=True)
        for _line in sys.stdin:
            began = time.process_time()
            taken = Sender(app.config["SETTINGS"], now=clock.utcnow, stop=threading.Event()).run()
            db.session.remove()
            print(taken, f"{time.process_time() - began:.3f}", flush=True)


if __name__ == "__main__":
    main()
