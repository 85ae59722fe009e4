"""Received documents as files, and files as documents: names, places, rights and limits."""

import os
import stat
from pathlib import Path

import pytest

from parley.cli.people.documents import LONGEST_NAME, Folder, SaveFailed, read_file, safe_name
from parley.cli.people.downloads import downloads
from parley.shared.config import Config, LinkConfig
from parley.shared.errors import ConfigError, ParleyError
from parley.shared.wire.messages import pb


def document(filename, data=b"data"):
    return pb.Document(documentId="1", filename=filename, data=data)


@pytest.mark.parametrize(
    ("filename", "name"),
    [
        ("map.png", "map.png"),
        ("Grüße 1.txt", "Grüße 1.txt"),
        ("../../etc/passwd", "passwd"),
        ("/etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("..", "document"),
        (".", "document"),
        ("", "document"),
        ("/", "document"),
        ("dir/", "document"),
        (".bashrc", "bashrc"),
        ("...hidden", "hidden"),
        ("-rf", "_rf"),
        ("a\nb\x00c\x1b[2J.txt", "a_b_c_[2J.txt"),
        ("gpj.\u202eexe", "gpj._exe"),
        ('a<b>c:d"e|f?g*.txt', "a_b_c_d_e_f_g_.txt"),
        ("trailing. . ", "trailing"),
    ],
)
def test_a_name_from_elsewhere_is_made_harmless(filename, name):
    assert safe_name(filename) == name


@pytest.mark.parametrize("filename", ["x" * 5000 + ".txt", "é" * 5000 + ".txt", "a." + "x" * 5000])
def test_a_long_name_is_cut_and_keeps_its_suffix(filename):
    name = safe_name(filename)
    assert 0 < len(name.encode()) <= LONGEST_NAME
    assert name.endswith(".txt") or filename.startswith("a.")


@pytest.mark.parametrize("filename", ["../out", "/tmp/out", "..", "a/../../out", "\\..\\out", "\x00/../out"])
def test_nothing_is_written_outside_of_the_folder(tmp_path, filename):
    inbox = tmp_path / "in" / "box"
    folder = Folder.named(str(inbox))
    before = set(tmp_path.rglob("*"))
    path = folder.save(document(filename))
    assert set(tmp_path.rglob("*")) - before == {inbox / Path(path).name}


DIRS = "user-dirs.dirs"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (None, "Downloads"),
        ("", "Downloads"),
        ('XDG_DOWNLOAD_DIR="$HOME/Téléchargements"', "Téléchargements"),
        ('# by hand\nXDG_DESKTOP_DIR="$HOME/Desktop"\nXDG_DOWNLOAD_DIR="$HOME/Save \\"here\\""\n', 'Save "here"'),
        ('XDG_DOWNLOAD_DIR="/srv/files"', "/srv/files"),
        ('XDG_DOWNLOAD_DIR="$HOME"', ""),
        ('XDG_DOWNLOAD_DIR="relative"', "Downloads"),
        ("XDG_DOWNLOAD_DIR=$(reboot)", "Downloads"),
        ('XDG_DOWNLOAD_DIR="$HOMEBREW/x"', "Downloads"),
    ],
)
def test_documents_go_where_the_desktop_keeps_downloads(tmp_path, lines, expected):
    if lines is not None:
        (tmp_path / ".config").mkdir()
        (tmp_path / ".config" / DIRS).write_text(lines)
    assert downloads({"HOME": str(tmp_path)}) == tmp_path / expected


def test_the_configuration_may_be_elsewhere_and_the_environment_may_say_it(tmp_path):
    (tmp_path / DIRS).write_text('XDG_DOWNLOAD_DIR="$HOME/Got"')
    assert downloads({"HOME": "/home/ann", "XDG_CONFIG_HOME": str(tmp_path)}) == Path("/home/ann/Got")
    assert downloads({"HOME": "/home/ann", "XDG_DOWNLOAD_DIR": "/srv/got"}) == Path("/srv/got")
    assert downloads({"HOME": "/home/ann", "XDG_DOWNLOAD_DIR": "got"}) == Path("/home/ann/Downloads")


def test_whoever_has_no_home_is_told_what_to_do(monkeypatch):
    def nobody():
        raise RuntimeError

    monkeypatch.setattr("pathlib.Path.home", nobody)
    with pytest.raises(SaveFailed, match="name a folder with --save DIR"):
        Folder.chosen("", {}).save(document("map.png"))


def test_the_download_directory_is_made_when_there_is_something_for_it(tmp_path):
    folder = Folder.chosen("", {"HOME": str(tmp_path)})
    assert list(tmp_path.iterdir()) == []
    assert folder.save(document("map.png")) == str(tmp_path / "Downloads" / "map.png")


def test_a_message_that_comes_again_is_saved_once_while_its_file_is_there(tmp_path):
    folder, message = Folder.named(str(tmp_path)), pb.ChatMessage(messageSnowflake=7, document=document("map.png"))
    assert folder.save_of(message) == folder.save_of(message)
    assert [path.name for path in tmp_path.iterdir()] == ["map.png"]
    (tmp_path / "map.png").rename(tmp_path / "mine.png")
    assert Path(folder.save_of(message)).read_bytes() == b"data"


def test_a_file_that_exists_is_never_written_over(tmp_path):
    folder = Folder.named(str(tmp_path))
    paths = [folder.save(document("map.png", data)) for data in (b"1", b"2", b"3")]
    assert [path.name for path in map(Path, paths)] == ["map.png", "map (1).png", "map (2).png"]
    assert [path.read_bytes() for path in map(Path, paths)] == [b"1", b"2", b"3"]


@pytest.mark.parametrize("exists", [True, False], ids=["to a file", "to nothing"])
def test_a_link_is_not_followed(tmp_path, exists):
    target = tmp_path / "target"
    if exists:
        target.write_bytes(b"mine")
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "map.png").symlink_to(target)
    path = Folder.named(str(inbox)).save(document("map.png"))
    assert path == str(inbox / "map (1).png")
    assert (target.read_bytes() == b"mine") if exists else not target.exists()


def test_only_the_user_may_read_it(tmp_path):
    before = os.umask(0)
    try:
        path = Folder.named(str(tmp_path)).save(document("map.png"))
    finally:
        os.umask(before)
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600


def test_what_cannot_be_written_leaves_nothing_behind_and_is_told(tmp_path, monkeypatch):
    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("parley.cli.people.documents.os.fsync", full)
    with pytest.raises(SaveFailed, match=r"^map\.png cannot be saved in .* \(no space left on device\); it waits"):
        Folder.named(str(tmp_path)).save_of(pb.ChatMessage(document=document("map.png")))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told_before_anything_is_received(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="no such folder can be made"):
        Folder.named(str(tmp_path / "file" / "inbox"))
    with pytest.raises(ConfigError, match="no such folder can be made"):
        Folder.named(str(tmp_path / "file"))


def test_a_file_is_read_whole(tmp_path):
    (tmp_path / "empty").touch()
    assert read_file(tmp_path / "empty", Config()) == b""
    (tmp_path / "two").write_bytes(bytes(2 * 1024 * 1024))
    assert len(read_file(tmp_path / "two", Config())) == 2 * 1024 * 1024


def test_a_file_over_the_limit_is_refused_unread(tmp_path, monkeypatch):
    (tmp_path / "big").write_bytes(bytes(101))
    monkeypatch.setattr("pathlib.Path.read_bytes", lambda _path: pytest.fail("it was read"))
    with pytest.raises(ParleyError, match=r"big is too large: .*\(101 bytes\), and at most .*\(100 bytes\) go"):
        read_file(tmp_path / "big", Config(link=LinkConfig(payload_limit=100)))


def test_what_is_no_file_cannot_be_sent_and_is_told_why(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name, words in (("nothing", "there is no file"), ("", "is a directory; pack it"), ("pipe", "is a pipe or")):
        with pytest.raises(ConfigError, match=words):
            read_file(tmp_path / name, Config())
