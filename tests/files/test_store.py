"""The store: a directory and a bucket do the same. The bucket is moto's, spoken to over HTTP as any other."""

import io
import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from portal.config import ConfigError, Settings
from portal.files.store import INCOMING, PREVIEW, Store, StoreTroubleError, new_name


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """The URL of a bucket."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    client = boto3.client(
        "s3", endpoint_url=endpoint, region_name="eu-west-1", aws_access_key_id="k", aws_secret_access_key="s"
    )
    client.create_bucket(Bucket="uploads", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    yield f"s3://key:secret@uploads/portal?endpoint={endpoint}&region=eu-west-1"
    server.stop()


@pytest.fixture(params=["directory", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "directory":
        return Store((tmp_path / "with space" / "files").as_uri())
    return Store(request.getfixturevalue("bucket"))


CONTENT = os.urandom(200_000)


def test_what_is_put_there_is_there_until_it_is_deleted(store: Store) -> None:
    name = new_name()
    store.put(name, io.BytesIO(CONTENT))
    store.put(name + PREVIEW, io.BytesIO(b"small"))
    with store.open(name) as content:
        assert content.seek(0, 2) == len(CONTENT)
        content.seek(1000)
        assert content.read(10) == CONTENT[1000:1010]
    assert store.has(name)
    found = {each.name: each.since for each in store.lying_in(name[:2])}
    assert set(found) >= {name, name + PREVIEW}
    assert abs(found[name] - datetime.now(UTC)) < timedelta(minutes=1)
    store.delete(name)
    assert not store.has(name)
    assert not store.has(name + PREVIEW)
    store.delete(name)
    with pytest.raises(FileNotFoundError):
        store.open(name).read(1)


class Torn(io.BytesIO):
    """A source that breaks off in the middle."""

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() > 100_000:
            raise ConnectionResetError("gone")
        return super().read(size)


def test_r53_what_breaks_off_in_the_middle_is_not_there_at_all(store: Store) -> None:
    name = new_name()
    with pytest.raises((OSError, StoreTroubleError)):
        store.put(name, Torn(CONTENT))
    assert not store.has(name)
    assert name not in {each.name for each in store.lying_in(name[:2])}
    if store.directory:
        assert list((store.directory / INCOMING).iterdir()) == []


def test_a_store_that_works_has_no_trouble_and_keeps_nothing_of_the_trial(store: Store) -> None:
    assert store.trouble() == ""
    assert store.forget_incoming(datetime.now(UTC) + timedelta(days=1)) == 0


def test_a_directory_is_its_owners_alone_and_so_are_its_names(tmp_path: Path) -> None:
    store = Store((tmp_path / "files").as_uri())
    store.put(new_name(), io.BytesIO(b"x"))
    assert (tmp_path / "files").stat().st_mode & 0o777 == 0o700
    (tmp_path / "files" / "ab").mkdir(exist_ok=True)
    (tmp_path / "files" / "ab" / "notes.txt").write_text("an admin's own")
    assert "ab/notes.txt" not in {each.name for each in store.lying_in("ab")}


def test_a_bucket_that_is_away_is_told_and_soon() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        store = Store(f"s3://k:s@uploads/portal?endpoint=http://127.0.0.1:{closed.getsockname()[1]}")
        with pytest.raises(StoreTroubleError):
            store.put(new_name(), io.BytesIO(b"x"))
        assert store.trouble() != ""


@pytest.mark.parametrize(
    "url",
    ["files", "/srv/files", "file://host/srv", "file:///", "ftp://a/b", "s3://", "s3://b?endpoint=x", "s3://b?a=1"],
)
def test_a_place_that_is_none_stops_the_start(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="PORTAL_FILES_URL"):
        Settings.from_environment(
            {"PORTAL_INSTANCE": str(tmp_path), "PORTAL_SECRET_KEY": os.urandom(32).hex(), "PORTAL_FILES_URL": url}
        )


def test_files_lie_in_the_instance_where_nobody_says_otherwise(tmp_path: Path) -> None:
    settings = Settings.from_environment({"PORTAL_INSTANCE": str(tmp_path), "PORTAL_SECRET_KEY": os.urandom(32).hex()})
    assert Store(settings.files_url).directory == tmp_path / "files"
    assert (settings.file_megabytes, settings.company_files_megabytes) == (10, 1000)
