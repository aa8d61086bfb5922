"""Settings beside a journal, and presets."""

import json
import os
import pathlib

import numpy as np
import pytest

from tfrobustloss import losses, presets
from tfrobustloss.search import Task, TaylorLossSearch
from tfrobustloss.search.taylor import record

SMALL = Task("digits", train_size=60, validation_size=40)


def _search(journal=None, task=SMALL, **options):
    quick = dict(generations=1, population_size=3, epochs=2, seeds_per_candidate=1)
    return TaylorLossSearch(task, journal=journal, **{**quick, **options})


@pytest.mark.parametrize(
    ("text", "reason"),
    [(None, "No such file"), ("{", "not JSON"), ("[]", "format"), ("{}", "format")],
)
def test_no_preset(text, reason, tmp_path):
    path = tmp_path / "a.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ValueError, match=f"`path`.*{reason}"):
        presets.load_preset(path)


def test_a_journal_of_another_search(tmp_path):
    journal = tmp_path / "a.jsonl"
    begun = _search(journal)
    begun._cma.tell(begun._cma.pending()[0].id, 0.5)
    begun.close()
    with pytest.raises(ValueError, match="epochs=3.*epochs=2.*another journal"):
        _search(journal, epochs=3)
    with pytest.raises(ValueError, match="tasks="):
        _search(journal, task=Task("digits", train_size=61, validation_size=40))
    os.remove(f"{journal}.settings.json")
    with pytest.raises(ValueError, match="with its settings in"):
        _search(journal)
    with pytest.raises(ValueError, match="folder that exists"):
        _search(tmp_path / "no" / "a.jsonl")


def test_a_journal_without_a_value_is_new(tmp_path):
    journal = tmp_path / "a.jsonl"
    _search(journal=journal, sigma0=0.5).close()
    search = _search(journal=journal, sigma0=0.1, epochs=3)
    search._cma.tell(search._cma.pending()[0].id, 0.5)
    search.close()
    with pytest.raises(ValueError, match="sigma0=0.2.*sigma0=0.1"):
        _search(journal=journal, sigma0=0.2, epochs=3)


def test_an_open_journal_keeps_its_settings(tmp_path):
    journal = tmp_path / "a.jsonl"
    search = _search(journal=journal)
    settings = (tmp_path / "a.jsonl.settings.json").read_text()
    with pytest.raises(RuntimeError, match="no other search has open"):
        _search(journal=journal, epochs=3)
    assert (tmp_path / "a.jsonl.settings.json").read_text() == settings
    search.close()


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("a.jsonl", "the journal"),
        ("b/../a.jsonl.settings.json", "its settings"),
        ("start.json", "the preset of `start`"),
        ("link/start.json", "the preset of `start`"),
        ("b/link.json", "the preset of `start`"),
    ],
)
def test_a_preset_does_not_replace_what_the_search_needs(name, kept, tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "link").symlink_to(tmp_path)
    start = tmp_path / "start.json"
    (tmp_path / "b" / "link.json").symlink_to(start)
    theta = losses.TaylorLoss([0, 0, 0, 2, 0, 0, -2, 0, 0, 0, 0, 0]).theta
    start.write_text(json.dumps({"format": presets.FORMAT, "theta": list(theta)}))
    content = start.read_text()
    search = _search(journal=tmp_path / "a.jsonl", start=start)
    message = f"save_preset: `path` must be another file than {kept}. .*{name}"
    with pytest.raises(ValueError, match=message):
        search.save_preset(tmp_path / name)
    search.close()
    assert start.read_text() == content


def test_a_preset_of_the_package_is_not_replaced():
    [name] = presets.names()
    search = _search(start=name)
    folder = pathlib.Path(presets.__file__).parent
    with pytest.raises(ValueError, match="`path` must be.*the preset of `start`"):
        search.save_preset(folder / f"{name}.json")


@pytest.mark.parametrize("start", ["a.jsonl", "a.jsonl.settings.json"])
def test_a_journal_does_not_replace_the_start(start, tmp_path):
    path = tmp_path / start
    path.write_text(json.dumps({"format": presets.FORMAT, "theta": [0.0] * 12}))
    content = path.read_text()
    with pytest.raises(ValueError, match="`journal` must be another file than the pr"):
        _search(journal=tmp_path / "a.jsonl", start=path)
    assert path.read_text() == content
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("path", [None, 3])
def test_a_preset_is_a_path(path):
    with pytest.raises(TypeError, match=f"load_preset: `path` .*{path}"):
        presets.load_preset(path)


def test_the_noise_of_own_labels_is_unknown():
    labels = np.arange(40) % 2
    arrays = np.eye(2, dtype="float32")[labels], labels
    own = Task((arrays, arrays), noise="none")
    for task, expected in ((own, [None]), (Task("digits", noise="none"), [0.0])):
        search = _search(task=task)
        found = {"theta": [], "coefficients": {}, "accuracy": 0.5, "candidates": {}}
        search.history = lambda: [{"best_so_far": 0.5}]
        preset = record.preset(search, {**found, "seeds": [1]})
        assert preset["realized_noise_rate"] == expected
