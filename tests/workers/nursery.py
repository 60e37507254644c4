"""A process that has imported everything and forks processes of the product when told to.

They are the product's own commands, `portal worker --processes N`, `portal pulse` and `portal timetable`, down to the
supervisor and its children; only what importing costs is paid once and not at each of forty starts. Run as
`python -m tests.workers.nursery`; one command a line on its input, one process id a line on its output.
"""

import os
import signal
import sys

from portal.cli import processes
from portal.cli.supervisor import die_with_parent
from tests.notifications import outbox
from workers import worker as rq_worker


def begin(kind: str, *arguments: str) -> None:
    """Be this process until it ends."""
    if kind == "worker":
        processes.worker.main(["--processes", arguments[0]], standalone_mode=False)
    elif kind == "pulse":
        processes.pulse.main([], standalone_mode=False)
    elif kind == "timetable":
        processes.timetable.main([], standalone_mode=False)
    elif kind == "hasty":
        stop_between_dequeue_and_start()
        processes.worker.main(["--processes", "1"], standalone_mode=False)
    else:
        raise ValueError(kind)


def stop_between_dequeue_and_start() -> None:
    """Have the stop signal arrive at the moment in which a job has left the queue and is not begun (rq issue 2236)."""
    dequeue = rq_worker.PortalWorker.dequeue_job_and_maintain_ttl

    def dequeued(self: rq_worker.PortalWorker, *arguments: object, **options: object) -> object:
        found = dequeue(self, *arguments, **options)  # type: ignore[arg-type]
        if found is not None:
            os.kill(os.getpid(), signal.SIGTERM)
        return found

    rq_worker.PortalWorker.dequeue_job_and_maintain_ttl = dequeued  # type: ignore[assignment,method-assign]


def main() -> None:
    """Fork what is asked for until the input ends."""
    assert outbox.TEST_KIND
    app = processes.load_app()
    processes.preload()
    processes.load_app = lambda _settings=None: app  # type: ignore[assignment]
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    nursery = os.getpid()
    for line in sys.stdin:
        kind, *arguments = line.split()
        if (pid := os.fork()) == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.setsid()
            die_with_parent(nursery)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(2, 1)
            status = 1
            try:
                begin(kind, *arguments)
                status = 0
            finally:
                os._exit(status)
        print(pid, flush=True)


if __name__ == "__main__":
    main()
