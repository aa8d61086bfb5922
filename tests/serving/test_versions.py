"""Folders of versions, without any model."""

import os

import pytest

from tfrobustloss.serving import _versions


def write(target):
    os.mkdir(target)


def test_numbers(tmp_path):
    assert _versions.numbers(tmp_path / "missing") == []
    for name in ("10", "2", "latest", "-3", "1.5"):
        (tmp_path / name).mkdir()
    assert _versions.numbers(tmp_path) == [2, 10]


def test_another_export_takes_the_number_first(tmp_path):
    def write_while_another_does(target):
        os.makedirs(tmp_path / "1" / "theirs")
        write(target)

    folder = str(tmp_path)
    version = _versions.publish("export", folder, None, write_while_another_does)
    assert version == str(tmp_path / "2")
    assert (tmp_path / "1" / "theirs").exists()


def test_another_export_takes_the_wanted_number(tmp_path):
    def write_while_another_does(target):
        os.makedirs(tmp_path / "4" / "theirs")
        write(target)

    with pytest.raises(
        ValueError, match="export: `version` .*Received: version=4. .* 5"
    ):
        _versions.publish("export", str(tmp_path), 4, write_while_another_does)
    assert os.listdir(tmp_path) == ["4"]
    assert os.listdir(tmp_path / "4") == ["theirs"]


def test_an_empty_folder_is_a_version(tmp_path):
    (tmp_path / "1").mkdir()
    with pytest.raises(ValueError, match="Received: version=1"):
        _versions.check("export", tmp_path, 1)
    assert _versions.publish("export", str(tmp_path), None, write)[-1] == "2"


def test_no_server_sees_it_before_it_is_whole(tmp_path):
    def look(target):
        write(target)
        assert not [name for name in os.listdir(tmp_path) if name.isdecimal()]

    _versions.publish("export", str(tmp_path), None, look)
    assert os.listdir(tmp_path) == ["1"]


def test_folders_that_were_there_stay(tmp_path):
    (tmp_path / "empty").mkdir()

    def fail(target):
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        _versions.publish("export", str(tmp_path / "empty" / "new"), None, fail)
    assert os.listdir(tmp_path) == ["empty"]
    assert os.listdir(tmp_path / "empty") == []
