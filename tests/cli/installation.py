"""An installation whose commands run in the process of the tests."""

import io
import os
import subprocess
import sys

import pytest

from portal.cli import run
from tests.support.product import Portal


class Installation(Portal):
    """A portal whose commands run in this process, which spares each test the start of another."""

    def __init__(self, url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(database_url=url)
        self._capsys, self._monkeypatch = capsys, monkeypatch

    def run(self, *arguments: str, input: str = "", seconds: float = 60) -> subprocess.CompletedProcess[str]:
        with self._monkeypatch.context() as patch:
            for name in [name for name in os.environ if name.startswith("PORT")]:
                patch.delenv(name)
            for name, value in self.variables.items():
                patch.setenv(name, value)
            patch.setattr(sys, "stdin", io.StringIO(input))
            self._capsys.readouterr()
            status = run(list(arguments))
            said = self._capsys.readouterr()
        return subprocess.CompletedProcess(arguments, status, said.out, said.err)
