"""The command line: one real short run, every mistake a user can make, Ctrl-C."""

import json
import os
import re
import runpy
import signal
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrobustloss import cli
from tfrobustloss.experiments import specs, task_data

SHORT = ["compare", "--epochs", "2", "--seeds", "1", "--train-size", "200"]
SHORT += ["--learning-rate", "0.001"]
ONE = [*SHORT, "--validation-share", "0"]  # no baseline is added


# the baseline, and those that "all" treats in ways of their own; that it means
# every loss is tested in `tests/experiments/test_comparison.py`
SOME = ["cross_entropy", "forward_correction", "backward_correction", "taylor_loss"]


def test_compare(tmp_path, capsys, monkeypatch):
    some = {name: specs.loss_classes()[name] for name in SOME}
    monkeypatch.setattr(specs, "loss_classes", lambda: some)
    output, plot = tmp_path / "a.json", tmp_path / "a.png"
    options = ["--losses", "all", "--noise", "symmetric:0.9", "--train-size", "40"]
    options += ["--output", str(output), "--plot", str(plot)]
    tf.config.run_functions_eagerly(True)  # tracing each loss would take a minute
    try:
        assert cli.main([*SHORT, *options]) == 0
    finally:
        tf.config.run_functions_eagerly(False)
    out, err = capsys.readouterr()
    assert err == ""
    # its matrix cannot be inverted
    names = set(specs.loss_classes()) - {"backward_correction"}
    assert "Left out: backward_correction. " in out
    assert "\nbackward_correction" not in out
    assert f"[{len(names)}/{len(names)}] " in out
    record = json.loads(output.read_text())
    assert {one["loss"] for one in record["results"]} == names
    assert plot.read_bytes()[:4] == b"\x89PNG"
    table = out[out.index("Accuracy on the clean test set") :]
    number = r" +(\d+\.\d)"
    pattern = rf"^(\w+) +0.001 +(\d+)[^)]*\).{number}{number}{number}{number}$"
    rows = re.findall(pattern, table, re.M)
    assert {row[0] for row in rows} == names
    stopped = [float(row[3]) for row in rows]
    assert stopped == sorted(stopped, reverse=True)
    for column, name in ((2, "last"), (3, "stopped"), (4, "best")):
        means = {one["loss"]: one[name]["mean"] for one in record["results"]}
        assert all(float(row[column]) == pytest.approx(100 * means[row[0]], abs=0.06)
                   for row in rows)  # fmt: skip
    assert "No clean label was used." in table
    assert re.search("Better than cross-entropy, stopped, beyond chance: ", table)
    assert "Given the true noise matrix" in table
    assert "taylor_loss: theta not given, taken as the squared error." in table


def test_seeds_have_a_spread(capsys):
    options = ["--losses", "adma", "--seeds", "2", "--epochs", "1"]
    assert cli.main([*ONE, *options]) == 0
    out = capsys.readouterr().out
    assert "mean ± sd over 2 seeds" in out
    assert re.search(r"^adma +\d+\.\d ± +\d+\.\d ", out, re.M)


def test_terminal(monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    options = ["--losses", "adma,focal", "--epochs", "1", "--train-size", "50"]
    assert cli.main([*ONE, *options]) == 0
    out = capsys.readouterr().out
    assert "focal, seed 0: " in out  # the bar's description
    assert "[2/2] focal: last " in out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--epochs", "0"], r"`epochs`.*epochs=0"),
        (["--epochs", "two"], "argument --epochs: invalid int value: 'two'"),
        (["--seeds", "0"], "`seeds`.*seeds=0"),
        (["--batch-size", "-1"], "`batch_size`.*batch_size=-1"),
        (["--train-size", "99999"], "`train_size`.*99999"),
        (["--learning-rate", "0"], "`learning_rate`.*learning_rate=0.0"),
        (["--momentum", "0.9"], "`momentum`.*adam has none"),
        (["--optimizer", "sdg"], "`optimizer`.*sgd"),
        (["--model", "mlp9"], "`model`.*mlp2"),
        (["--noise", "symetric:0.6"], "`noise`.*symmetric"),
        (["--noise", "symmetric:60"], "`rate`.*60"),
        (["--losses", "gce"], "There are: generalized_cross_entropy"),
        (["--losses", "focal:gama=2"], "There are: gamma"),
        (["--losses", "focal:gamma=-1"], "`gamma`.*gamma=-1"),
        (["--dataset", "mnist", "--data-dir", "{folder}"], "download_and_prepare"),
        (["--dataset", "../x"], "`dataset`.*dataset='../x'"),
        (["--output", "{folder}/no/a.json"], "`output`.*folder that exists"),
        (["--output", "{folder}"], "`output` must be the path of a file"),
        (["--plot", "{folder}/no/a.png"], "`plot`.*folder that exists"),
        (["--plot", "{folder}/a.xyz"], r"`plot`.*\.png.*a\.xyz"),
        (["--output", "{folder}/a.png", "--plot", "{folder}/a.png"], "`plot`.*--outp"),
        (["--learning-rates", "a"], "`learning_rates`.*comma-separated"),
        (["--matrix", "{folder}/no.json"], "`matrix`.*FileNotFoundError"),
        (["--data", "{folder}/no"], "`data`.*folder or file that exists"),
        (["--data", "{folder}", "--image-size", "32"], "`image_size`.*32x32"),
        (["--label", "x"], "`label`.*given with `--data`"),
        (["--epoch", "3"], "unrecognized arguments: --epoch"),
        (["--losses"], "argument --losses: expected one argument"),
        (["everything"], "unrecognized arguments: everything"),
    ],
)
def test_mistakes_are_one_line(options, message, tmp_path, capsys):
    options = [option.format(folder=tmp_path) for option in options]
    try:
        code = cli.main(["compare", *options])
    except SystemExit as error:  # what argparse itself refuses
        code = error.code
    out, err = capsys.readouterr()
    assert code == 2
    assert out == ""  # found before anything is trained
    assert re.fullmatch(r"tfrobustloss( compare)?: error: [^\n]+\n", err)
    assert re.search(message, err)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [([], "required: COMMAND"), (["compair"], "invalid choice: 'compair'")],
)
def test_a_command_is_needed(arguments, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        cli.main(arguments)
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_scikit_learn_missing(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    task_data.read.cache_clear()
    assert cli.main(["compare"]) == 2
    err = capsys.readouterr().err
    assert "scikit-learn" in err
    assert err.count("\n") == 1


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


def test_ctrl_c_keeps_what_is_finished(tmp_path, monkeypatch, capsys):
    output, plot = tmp_path / "a.json", tmp_path / "a.png"
    options = ["--losses", "adma,focal,cross_entropy"]
    options += ["--output", str(output), "--plot", str(plot)]
    monkeypatch.setattr(sys, "stdout", _CtrlC("[2/3]", sys.stdout))
    assert cli.main([*ONE, *options]) == 130
    record = json.loads(output.read_text())
    assert record["interrupted"] is True
    assert [one["loss"] for one in record["results"]] == ["adma", "focal"]
    assert plot.exists()
    out = capsys.readouterr().out
    assert "Interrupted: what was finished is above." in out
    assert re.search(r"^focal +\d", out, re.M)


def test_ctrl_c_before_any_training_is_finished(tmp_path, monkeypatch, capsys):
    output, plot = tmp_path / "a.json", tmp_path / "a.png"
    options = ["--output", str(output), "--plot", str(plot)]

    def interrupt(self, label, seed, accuracy):
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("tfrobustloss.cli.compare_report.Reporter.on_epoch", interrupt)
    assert cli.main([*SHORT, *options]) == 130
    assert json.loads(output.read_text())["results"] == []
    assert not plot.exists()
    assert "No training was finished." in capsys.readouterr().out


def test_a_full_disk_does_not_cost_the_table(tmp_path, monkeypatch, capsys):
    def fail(path, content):
        raise OSError(28, "No space left on device", path)

    monkeypatch.setattr("tfrobustloss._core.files.write", fail)
    options = ["--losses", "adma", "--output", str(tmp_path / "a.json")]
    assert cli.main([*ONE, *options]) == 2
    out, err = capsys.readouterr()
    assert re.search(r"^adma +\d", out, re.M)
    assert re.fullmatch(r"tfrobustloss compare: error: .*No space left.*\n", err)


def test_ctrl_c_before_training(tmp_path, monkeypatch, capsys):
    output, plot = tmp_path / "a.json", tmp_path / "a.png"
    options = ["--output", str(output), "--plot", str(plot)]
    monkeypatch.setattr(sys, "stdout", _CtrlC("mlp2, adam", sys.stdout))
    assert cli.main([*SHORT, *options]) == 130
    assert capsys.readouterr().err == "Interrupted.\n"
    assert os.listdir(tmp_path) == []


def test_own_table(tmp_path, capsys):
    random = np.random.default_rng(0)
    colours = np.array(["blue", "red"])
    x = random.normal(size=(600, 2))
    right = (x[:, 0] > 0) * 1
    noisy = np.where(random.random(600) < 0.2, 1 - right, right)
    for name, labels in (("train", noisy), ("test", right)):
        lines = ["a,b,colour", *(f"{u},{v},{colours[k]}" for (u, v), k in
                                 zip(x, labels, strict=True))]  # fmt: skip
        (tmp_path / f"{name}.csv").write_text("\n".join(lines))
    before = sorted(os.listdir(tmp_path))
    options = ["--data", f"{tmp_path}/train.csv", "--label", "colour"]
    options += ["--test", f"{tmp_path}/test.csv", "--losses", "forward_correction"]
    assert cli.main([*SHORT[:-4], *SHORT[-2:], *options]) == 0
    out = capsys.readouterr().out
    assert "480 training examples of 2 classes, about " in out
    assert "600 test examples with clean labels" in out
    assert re.search(r"^forward_correction +0.001 +\d", out, re.M)
    assert sorted(os.listdir(tmp_path)) == before  # nothing is written there
    # what is to be pasted runs
    code = out[out.index("from tfrobustloss import data") :]
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    code = code.replace("    callbacks", "    verbose=0, callbacks")
    names = {"keras": keras, "model": model, "inputs": x, "labels": noisy}
    exec(code.replace("model.fit(", "fitted = model.fit("), names)
    assert len(names["fitted"].history["loss"]) == 2


def test_export_of_a_layer_that_nobody_knows(tmp_path, capsys):
    class Own(keras.layers.Layer):
        pass

    file = str(tmp_path / "a.keras")
    keras.Sequential([keras.Input((2,)), Own(), keras.layers.Dense(2)]).save(file)
    assert cli.main(["export", file, str(tmp_path / "m")]) == 2
    err = capsys.readouterr().err
    assert re.fullmatch(r"tfrobustloss export: error: `MODEL.keras` must [^\n]+\n", err)
    assert "'Own'" in err
    assert len(err) < 400  # without the model's whole config


def test_module_is_the_command(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["tfrobustloss", "compare", "--help"])
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit, match="0"):
        runpy.run_module("tfrobustloss", run_name="__main__", alter_sys=True)
    out = capsys.readouterr().out
    for option in (
        "dataset data-dir noise losses model epochs batch-size optimizer "
        "learning-rate momentum seeds train-size output plot data label test matrix"
    ).split():
        assert f"--{option} " in out
    assert "(default: symmetric:0.6; none with --data)" in " ".join(out.split())
