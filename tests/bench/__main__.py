"""`python -m tests.bench [TARGET …]`: measure, and print a table. Without targets all of them.

Everything runs on the loopback, in folders and on ports of its own, and is gone afterwards. A line whose tool is
missing says so. The exit status is 0 whether targets are met or not, and 1 where something could not be measured.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from portal import clock
from tests.bench import alerts, companies, house, hub, mail, outages, seed, services, web, work
from tests.bench.figures import Result
from tests.bench.machine import MissingError, description
from tests.support.product import Portal

TARGETS = ("1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12")


def main(arguments: list[str]) -> int:
    """Measure what was asked for and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("targets", nargs="*", choices=[[], *TARGETS], help="targets of DESIGN section 9")
    parser.add_argument(
        "--samples", type=int, default=alerts.MANY, help="the samples of target 9, ten million if not said"
    )
    given = parser.parse_args(arguments)
    wanted = set(given.targets or TARGETS)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="sb-bench-") as name:
        results = _Bench(Path(name), wanted, given.samples).run()
    print(_table(results))
    print(f"\n{description()}. Took {time.monotonic() - began:.0f} s.")
    print("Ratios are medians over shuffled rounds, least and most in brackets.")
    return 1 if any(result.is_met is None for result in results) else 0


class _Bench:
    def __init__(self, folder: Path, wanted: set[str], samples: int) -> None:
        self.folder = folder
        self.samples = samples
        self.wanted = wanted
        self.results: list[Result] = []

    def run(self) -> list[Result]:
        if mails := self.wanted & {"1", "2"}:
            self._try("1 and 2", lambda: mail.measure(mails))
        portals = []
        try:
            if self.wanted & {"3", "4", "5", "6", "7", "10", "11"} and self.wanted != {"5a"}:
                portals.append(self._portal(companies.FEW))
            if "7" in self.wanted:
                portals.append(self._portal(companies.MANY))
            if portals:
                self._measure(portals)
            if "8" in self.wanted:
                self._work(portals)
            if "9" in self.wanted:
                self._try("9", lambda: alerts.measure(self.samples))
            self._of_our_own(portals)
        finally:
            for portal in portals:
                shutil.rmtree(portal.folder, ignore_errors=True)
        return self.results

    def _portal(self, count: int) -> Portal:
        say(f"making a business of {count:,} companies")
        portal = Portal()
        portal.prepare()
        with portal.database():
            seed.seed(portal.address(seed.HOST), count)
        return portal

    def _work(self, portals: list[Portal]) -> None:
        """Businesses of their own, so that the others stay what they are."""
        among = []
        for count in (work.FEW, work.MANY):
            portals.append(portal := self._portal(work.COMPANIES))
            among.append(portal)
            say(f"giving it {count:,} jobs")
            with portal.database():
                work.seed_work(count, clock.utcnow())
        self._try("8", lambda: work.measure(*among))

    def _measure(self, portals: list[Portal]) -> None:
        few = portals[0]
        if self.wanted & {"3", "4"}:
            self._try("3 and 4", lambda: self._only(web.measure(few, self._sub("web"))))
        if "5" in self.wanted:
            self._try("5a and 5b", lambda: hub.measure(self._sub("hub")))
        if "7" in self.wanted:
            self._try("7", lambda: companies.measure(few, portals[1]))
        if "10" in self.wanted:
            self._try("10", lambda: house.measure_start(few))
        if self.wanted & {"5", "6"}:
            few.start(60)
            try:
                if "6" in self.wanted:
                    self._try("6", lambda: house.measure_first_render(few))
                if "5" in self.wanted:
                    self._try("5c", lambda: [house.measure_story(few, self.folder)])
            finally:
                few.stop()

    def _of_our_own(self, portals: list[Portal]) -> None:
        """Targets that are in no list but ours."""
        if "11" in self.wanted:
            few = portals[0]
            portals.append(many := self._portal(services.COMPANIES))
            names = (companies.FEW, services.COMPANIES)
            self._try("11", lambda: services.measure(few, many, names))
        if "12" in self.wanted:
            portals.append(portal := self._portal(outages.COMPANIES))
            self._try("12", lambda: outages.measure(portal))

    def _only(self, results: list[Result]) -> list[Result]:
        return [result for result in results if result.target.rstrip("abcdef") in self.wanted]

    def _sub(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir()
        return folder

    def _try(self, target: str, measure: Callable[[], list[Result]]) -> None:
        say(f"measuring {target}")
        try:
            self.results += measure()
        except MissingError as missing:
            self.results.append(Result(target, "not measured", "–", "–", "–", None, str(missing)))


def say(what: str) -> None:
    print(f"… {what}", file=sys.stderr, flush=True)


def _table(results: list[Result]) -> str:
    """The results as a Markdown table, in the order of the targets."""
    verdicts = {True: "met", False: "**missed**", None: "not measured"}
    lines = ["| # | What | Yardstick | Target | Seen | | Figures |", "|---|---|---|---|---|---|---|"]
    for each in sorted(results, key=lambda result: (int(result.target.split()[0].rstrip("abcdef")), result.target)):
        cells = (each.target, each.what, each.yardstick, each.wanted, each.seen, verdicts[each.is_met], each.note)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
