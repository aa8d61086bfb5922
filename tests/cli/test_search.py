"""The command that searches: a real tiny search, Ctrl-C, and every mistake."""

import json
import os
import re
import shlex
import signal
import sys

import numpy as np
import pytest
import tensorflow as tf

from tfrobustloss import cli, plots, presets
from tfrobustloss.cli import search as command
from tfrobustloss.search import CmaSearch

TINY = (
    "search --generations 2 --population-size 3 --seeds 1 --epochs 1 "
    "--train-size 100 --validation-size 50"
).split()


@pytest.fixture(autouse=True)
def _short_compilations(monkeypatch):
    """Graphs step by step; the trainer's own tests compile whole runs by XLA."""
    stepwise = "tfrobustloss.experiments.trainer.problem.suits_xla"
    monkeypatch.setattr(stepwise, lambda model: False)


def _files(folder):
    return [f"--{kind}={folder}/a.{end}" for kind, end in _ENDS.items()]


_ENDS = {"output": "json", "plot": "png"}


def test_search(tmp_path, capsys):
    assert cli.main([*TINY, *_files(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "100 training examples" in out
    assert "50 validation examples with clean labels" in out
    assert "[2/2] best " in out
    loss = presets.load_preset(tmp_path / "a.json")
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    assert (tmp_path / "a.jsonl").exists()
    assert re.search(r"Found \((mean|candidate \d)\): \d+\.\d %", out)
    names = "found|cross_entropy|generalized_cross_entropy|mean_absolute_error"
    cell = r" +\d+\.\d ± +\d+\.\d"
    row = rf"^({names}){cell}{cell} +[\d.e-]+{cell} +[\d.e-]+ +1$"
    rows = re.findall(row, out, re.M)
    assert set(rows) == set(names.split("|"))
    assert "Stopped: rate and epoch are chosen by accuracy on 50 noisy labels." in out
    assert re.search(
        r"Baseline: cross-entropy, stopped\. The loss found is \d+\.\d p", out
    )
    # the last line is a command that uses what was found
    used = shlex.split(out.splitlines()[-1])
    assert used[:2] == ["tfrobustloss", "compare"]
    assert used[-1].startswith("all,taylor_loss:theta=[")
    theta = json.loads(used[-1].partition("=")[2])
    assert theta == pytest.approx(loss.get_config()["theta"], rel=1e-4)
    used[-1] = used[-1].removeprefix("all,")
    tf.config.run_functions_eagerly(True)  # it is `compare`'s tests that compile
    try:
        assert cli.main([*used[1:], "--seeds", "1", "--train-size", "50"]) == 0
    finally:
        tf.config.run_functions_eagerly(False)
    assert "[2/2] taylor_loss:theta=[" in capsys.readouterr().out


class _CtrlC:
    """A standard output at which someone presses Ctrl-C when a text shows up."""

    def __init__(self, text, stream):
        self._text, self._stream = text, stream

    def write(self, text):
        self._stream.write(text)
        if self._text in text:
            signal.raise_signal(signal.SIGINT)

    def __getattr__(self, name):
        return getattr(self._stream, name)


def test_ctrl_c_and_the_same_command_again(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)  # files of the default names
    monkeypatch.setattr(command, "beside_others", lambda *arguments: [])
    monkeypatch.setattr("tfrobustloss.cli.search_report.table", lambda *arguments: "")
    with monkeypatch.context() as once:
        once.setattr(sys, "stdout", _CtrlC("[1/2]", sys.stdout))
        assert cli.main(TINY) == 130
    out = capsys.readouterr().out
    journal = "taylor-digits-symmetric-0.6-mlp2.jsonl"
    assert f"Interrupted after 1 generation. Every candidate that was known is in " \
        f"{journal}: the same command goes on." in out  # fmt: skip
    assert cli.main(TINY) == 0
    out = capsys.readouterr().out
    assert f"Going on after 1 generation in {journal}" in out
    assert "[1/2]" not in out
    assert "[2/2]" in out
    assert (tmp_path / "taylor-digits-symmetric-0.6-mlp2.json").exists()
    assert cli.main([*TINY, "--epochs", "2"]) == 2
    assert re.search("epochs=2.*epochs=1.*another journal", capsys.readouterr().err)


def test_terminal(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "beside_others", lambda *arguments: [])
    monkeypatch.setattr("tfrobustloss.cli.search_report.table", lambda *arguments: "")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert cli.main([*TINY, "--generations", "1", *_files(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "candidate 3 of 3" in out  # the bar's description
    assert "[1/1] best " in out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--generations", "0"], "`generations`.*generations=0"),
        (["--generations", "few"], "argument --generations: invalid int value"),
        (["--population-size", "2"], "`population_size`.*=2"),
        (["--sigma0", "-1"], "`sigma0`.*=-1"),
        (["--form", "13"], "`form`.*canonical"),
        (["--start", "sce"], "`start`.*gce"),
        (["--start", "1,2"], "`start`.*6 finite numbers"),
        (["--epochs", "0"], "`epochs`.*=0"),
        (["--batch-size", "0"], "`batch_size`.*=0"),
        (["--learning-rate", "0.1,0"], "`learning_rate`.*=0.0"),
        (["--learning-rate", "fast"], "`learning_rate`.*a number.*'fast'"),
        (["--learning-rate", ","], "`learning_rate`"),
        (["--momentum", "1"], "`momentum`.*=1.0"),
        (["--seeds", "0"], "`seeds`.* seeds=0"),
        (["--seed", "-1"], "`seed`.*=-1"),
        (["--train-size", "1352"], "`train_size`.*1352"),
        (["--validation-size", "2000"], "`validation_size`.*2000"),
        (["--model", "mlp9"], "`model`.*mlp2"),
        (["--noise", "symetric:0.6"], "search: error: `noise`.*symmetric"),
        (["--dataset", "mnist", "--data-dir", "{folder}"], "download_and_prepare"),
        (["--dataset", ","], "`dataset`.*one or more"),
        (["--dataset", "nosuch"], "`dataset`.*dataset='nosuch'"),
        (["--output", "{folder}/no/a.json"], "error: `output`.*folder that exists"),
        (["--journal", "{folder}/no/a.json"], "error: `journal`.*folder that exists"),
        (["--plot", "{folder}/a.xyz"], r"`plot`.*\.png.*plot=.*a\.xyz"),
        (["--output", "{folder}/a.jsonl"], "`journal`.*another file than --outp"),
        (["--journal", "a.json", "--output", "x/../a.json"], "`journal`.*--output"),
        (["--output", "{folder}/a.png", "--plot", "{folder}/a.png"], "`plot`.*--outp"),
        (["--journal", "a", "--output", "a.settings.json"], "`output`.*the settings"),
        (["--start", __file__, "--output", __file__], "`output`.*that of --start"),
    ],
)
def test_mistakes_are_one_line(options, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    options = [option.format(folder=tmp_path) for option in options]
    try:
        code = cli.main([*TINY, *options])
    except SystemExit as error:  # what argparse itself refuses
        code = error.code
    out, err = capsys.readouterr()
    assert code == 2
    assert out == ""  # found before anything is trained
    assert re.fullmatch(r"tfrobustloss( search)?: error: [^\n]+\n", err)
    assert re.search(message, err)


def test_a_file_that_is_no_journal(tmp_path, capsys):
    (tmp_path / "a.jsonl").write_text("my notes\n")
    (tmp_path / "a.jsonl.settings.json").write_text("{}")
    assert cli.main([*TINY, *_files(tmp_path)]) == 2
    assert "`journal`" in capsys.readouterr().err
    assert (tmp_path / "a.jsonl").read_text() == "my notes\n"


def test_nothing_is_found_where_all_diverges(tmp_path, capsys):
    options = ["--generations", "1", "--learning-rate", "1e30"]
    assert cli.main([*TINY, *_files(tmp_path), *options]) == 2
    out, err = capsys.readouterr()
    assert "Found" not in out
    assert "every training diverged. Received: learning_rates=[1e+30]" in err
    assert not (tmp_path / "a.json").exists()


def test_a_journal_that_another_search_has_open(tmp_path, capsys):
    held = CmaSearch([0.0], 1.0, journal=tmp_path / "a.jsonl")
    assert cli.main([*TINY, *_files(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert re.fullmatch("tfrobustloss search: error: `journal`.* no other .*\n", err)
    held.close()


def test_plot_of_generations_without_a_value():
    keys = ("best", "median", "mean")
    history = [
        {"generation": 1, **dict.fromkeys(keys)},
        {"generation": 2, **dict.fromkeys(keys, 0.5)},
    ]
    theta = [0, 0, 0, 2, 0, 0, -2, 0, 0, 0, 0, 0]
    assert plots.search_progress(history, theta, 10)[:4] == b"\x89PNG"
    with pytest.raises(ValueError, match="`path`"):
        plots.search_progress(history, theta, 10, "a.xyz")


def test_own_data_without_a_clean_label(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    x = random.normal(size=(400, 2)).astype("float32")
    noisy = ((x[:, 0] > 0) ^ (random.random(400) < 0.2)) * 1
    np.savez("own.npz", features=x, labels=noisy)
    options = "search --data own.npz --generations 1 --population-size 3 --seeds 1"
    options = [*options.split(), "--epochs", "1"]
    monkeypatch.setattr(command, "beside_others", lambda *arguments: [])
    monkeypatch.setattr("tfrobustloss.cli.search_report.table", lambda *arguments: "")
    with pytest.warns(UserWarning, match="100 noisy validation examples.*about"):
        assert cli.main(options) == 0
    out = capsys.readouterr().out
    judge = "100 validation examples with noisy labels, corrected by a noise matrix"
    assert f"300 training examples; {judge}; mlp2" in out
    assert "tfrobustloss compare --data own.npz --model mlp2" in out.splitlines()[-1]
    preset = json.loads((tmp_path / "taylor-own.npz-none-mlp2.json").read_text())
    (task,) = preset["settings"]["tasks"]
    assert task["validation"] == "noisy"
    assert np.shape(task["validation_matrix"]) == (2, 2)

    # the same command goes on, by the matrix of the settings, which is not estimated
    # again: another estimate could differ in its last digits
    def estimate_again(*arguments):
        raise AssertionError("estimated again")

    monkeypatch.setattr("tfrobustloss.experiments.estimate_noise", estimate_again)
    options[options.index("--generations") + 1] = "2"
    with pytest.warns(UserWarning, match="100 noisy validation examples.*about"):
        assert cli.main(options) == 0
    assert "Going on after 1 generation in" in capsys.readouterr().out
    assert sorted(os.listdir()) == [
        "own.npz",
        "taylor-own.npz-none-mlp2.json",
        "taylor-own.npz-none-mlp2.jsonl",
        "taylor-own.npz-none-mlp2.jsonl.settings.json",
    ]
