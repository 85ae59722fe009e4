"""The secret of a data directory is made once, whole, and nobody else's; its names are compared without case."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from parley.services.chat.storage import schema
from parley.shared.errors import ConfigError
from parley.shared.service.data_directory import BYTES, FILE, DataDirectory


def test_a_secret_is_made_once_and_then_known(tmp_path):
    directory = DataDirectory(tmp_path / "new" / "data")
    assert directory.secret() is None
    made = directory.make_secret()
    assert len(made) == BYTES
    assert DataDirectory(tmp_path / "new" / "data").make_secret() == made == directory.secret()
    assert (directory.path / FILE).stat().st_mode & 0o777 == 0o600
    assert os.listdir(directory.path) == [FILE]  # noqa: PTH208 - and nothing else


def test_of_several_that_make_one_at_once_all_have_the_same(tmp_path):
    with ThreadPoolExecutor(8) as threads:
        made = set(threads.map(lambda _: DataDirectory(tmp_path).make_secret(), range(64)))
    assert len(made) == 1


def test_a_secret_that_was_removed_comes_back_as_it_was(tmp_path):
    directory = DataDirectory(tmp_path)
    made = directory.make_secret()
    (tmp_path / FILE).unlink()
    assert directory.make_secret(made) == made == directory.secret()


@pytest.mark.parametrize("text", ["", "abc\n", "g" * 64 + "\n", "a" * 65 + "\n", "a" * 64], ids=repr)
def test_a_broken_file_is_none_and_is_replaced(tmp_path, text):
    (tmp_path / FILE).write_text(text)
    directory = DataDirectory(tmp_path)
    assert directory.secret() is None
    assert directory.make_secret() == directory.secret()


def test_a_link_to_somewhere_else_is_not_followed(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("ab" * 32 + "\n")
    (tmp_path / FILE).symlink_to(elsewhere)
    with pytest.raises(OSError, match=FILE):
        DataDirectory(tmp_path).make_secret()


@pytest.mark.parametrize("there", ["Alpha", "ALPHA"])
def test_a_name_in_another_spelling_is_refused_in_one_line(tmp_path, there):
    (tmp_path / there).mkdir()
    with pytest.raises(ConfigError, match=f"data of '{there}', and 'alpha' is the same name") as refused:
        DataDirectory(tmp_path).check_name("alpha")
    assert "\n" not in str(refused.value)


def test_other_names_and_the_very_same_are_fine(tmp_path):
    for name in ("alpha", "beta", "alphas"):
        (tmp_path / name).mkdir()
    DataDirectory(tmp_path).check_name("alpha")
    DataDirectory(tmp_path / "absent").check_name("alpha")


def test_names_are_those_with_chats_data(tmp_path):
    for name in ("beta", "alpha", "empty"):
        (tmp_path / name).mkdir()
    for name in ("beta", "alpha"):
        (tmp_path / name / "chat.db").touch()
    assert DataDirectory(tmp_path).names() == ["alpha", "beta"]


def test_data_that_a_chat_process_has_open_is_in_use(tmp_path):
    descriptor = schema.lock(tmp_path / "alpha")
    directory = DataDirectory(tmp_path)
    assert directory.is_in_use("alpha")
    os.close(descriptor)
    assert not directory.is_in_use("alpha")
    assert not directory.is_in_use("beta")
