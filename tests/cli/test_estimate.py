"""`tfrobustloss estimate`: the demo, one's own files, every mistake."""

import json
import re
import sys

import numpy as np
import pytest

from tfrobustloss import cli

SHORT = ["--folds", "2", "--epochs", "12", "--resamples", "20"]


def test_digits(tmp_path, capsys):
    files = {key: tmp_path / f"a.{key}" for key in ("json", "csv", "png")}
    options = ["--output", str(files["json"]), "--csv", str(files["csv"])]
    options += ["--plot", str(files["png"])]
    assert cli.main(["estimate", *SHORT, *options]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "digits: 1352 labels, made wrong by symmetric:0.4" in out
    assert "[2/2] agrees with " in out
    found, low, high, true = map(
        float,
        re.search(
            r"Wrong labels: (.+) %, 95 % interval (.+) to (.+) % \(truth: (.+) %\)", out
        ).groups(),
    )
    assert abs(found - true) < 8
    assert low <= found <= high
    assert out.count("\n  ") > 20  # both matrices
    assert "Losses that suit:\n  GeneralizedCrossEntropy(q=0.7)" in out
    assert "Note: Fewer than 200 labels of class 0, 1" in out  # so no matrix to rely on
    record = json.loads(files["json"].read_text())
    assert 100 * record["noise_rate"]["rate"] == pytest.approx(found, abs=0.06)
    assert np.shape(record["transition_matrix"]) == (10, 10)
    rows = files["csv"].read_text().splitlines()
    assert len(rows) == 1 + record["wrong_labels"]
    assert f"\n{record['wrong_labels']} labels are more likely wrong" in out
    assert files["png"].read_bytes()[:4] == b"\x89PNG"


@pytest.fixture
def arrays(tmp_path):
    """Paths of labels, a tenth of them wrong, probabilities and features."""
    clean = np.arange(300) % 3
    labels = np.where(np.arange(300) % 10 == 0, (clean + 1) % 3, clean)
    probabilities = np.full((300, 3), 0.05)
    probabilities[np.arange(300), clean] = 0.9
    paths = {}
    everything = {
        "labels": labels,
        "probabilities": probabilities,
        "features": np.eye(3)[clean],
        "objects": np.array([{}], object),
    }
    for name, array in everything.items():
        paths[name] = str(tmp_path / f"{name}.npy")
        np.save(paths[name], array)
    (tmp_path / "text.npy").write_text("no array")
    return {**paths, "text": str(tmp_path / "text.npy"), "folder": str(tmp_path)}


def test_own_probabilities(arrays, capsys):
    options = ["--labels", arrays["labels"], "--resamples", "20"]
    options += ["--probabilities", arrays["probabilities"], "--method", "confident"]
    assert cli.main(["estimate", *options]) == 0
    out = capsys.readouterr().out
    assert "Wrong labels: 10.0 %" in out
    assert "30 labels are more likely wrong than right\n" in out
    assert "truth" not in out.lower()
    assert "  0 labelled 1: 10.0 % of its class, 3.3 % of all" in out
    assert "Note: Fewer than 200 labels of class 0, 1, 2" in out


def test_own_features_on_a_terminal(arrays, monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    options = ["--labels", arrays["labels"], "--features", arrays["features"]]
    assert cli.main(["estimate", *options, *SHORT]) == 0
    out = capsys.readouterr().out
    assert "fold 2 of 2: agrees with " in out  # the bar's description
    assert "[2/2] agrees with " in out
    rate = float(re.search(r"Wrong labels: (.+?) %", out)[1])
    assert 5 < rate < 15


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--probabilities", "{probabilities}"], "`probabilities`.*--labels FILE.npy"),
        (["--labels", "{labels}"], "`labels`.*--probabilities or with --features"),
        (["--labels", "{folder}/no.npy", "--features", "{features}"], "that exists"),
        (["--labels", "{text}", "--features", "{features}"], "numpy.save"),
        (["--labels", "{objects}", "--features", "{features}"], "numpy.save"),
        (
            ["--labels", "{labels}", "--probabilities", "{labels}"],
            r"`probabilities.shape`.*\(300,\)",
        ),
        (
            ["--labels", "{labels}", "--probabilities", "{features}", "--top", "0"],
            "`top`.*top=0",
        ),
        (["--method", "guess"], "one of likelihood.*guess"),
        (["--folds", "1"], "`folds`.*folds=1"),
        (["--model", "mlp9"], "`model`.*mlp2"),
        (["--noise", "symetric:0.4"], "`noise`.*symmetric"),
        (["--train-size", "1"], "`train_size`.*=1"),
        (["--dataset", "mnist", "--data-dir", "{folder}"], "download_and_prepare"),
        (["--output", "{folder}/no/a.json"], "`output`.*folder that exists"),
        (["--csv", "{folder}"], "`csv` must be the path of a file"),
        (["--plot", "{folder}/a.xyz"], r"`plot`.*\.png.*a\.xyz"),
        (["--output", "{folder}/a", "--csv", "{folder}/a"], "`csv`.*than --output"),
        (["--labels", "{labels}", "--csv", "{labels}"], "`csv`.*than --labels"),
    ],
)
def test_mistakes_are_one_line(options, message, arrays, capsys):
    options = [option.format(**arrays) for option in options]
    assert cli.main(["estimate", *SHORT, *options]) == 2
    out, err = capsys.readouterr()
    assert "Wrong labels" not in out
    assert re.fullmatch(r"tfrobustloss estimate: error: [^\n]+\n", err)
    assert re.search(message, err)


def test_own_data(tmp_path, capsys):
    x = np.repeat(np.eye(2), 60, axis=0) + np.random.default_rng(0).normal(
        0, 0.1, (120, 2)
    )
    names = np.repeat(["no", "yes"], 60)
    names[:12] = "yes"
    lines = ["a,b,label", *(f"{u},{v},{n}" for (u, v), n in zip(x, names, strict=True))]
    (tmp_path / "own.csv").write_text("\n".join(lines))
    options = ["--data", str(tmp_path / "own.csv"), "--epochs", "30"]
    options += ["--batch-size", "8", "--folds", "2", "--resamples", "20"]
    assert cli.main(["estimate", *options]) == 0
    out = capsys.readouterr().out
    assert "no labelled yes: " in out
    assert re.search(r"\n1[0-4] labels are more likely wrong than right", out)
    assert cli.main(["estimate", *options, "--labels", "a.npy"]) == 2
    assert "`labels` must be left out with --data" in capsys.readouterr().err


def test_own_data_with_probabilities_by_id(tmp_path, capsys):
    clean = np.arange(300) % 3
    labels = np.where(np.arange(300) % 10 == 0, (clean + 1) % 3, clean)
    features = np.eye(3, dtype="float32")[clean]
    np.savez(tmp_path / "own.npz", features=features, labels=labels)
    order = np.random.default_rng(0).permutation(300)
    p = (0.05 + 0.85 * features)[order]
    np.savez(tmp_path / "p.npz", probabilities=p, ids=order.astype(str))
    options = ["--data", str(tmp_path / "own.npz"), "--method", "confident"]
    options += ["--probabilities", str(tmp_path / "p.npz"), "--resamples", "20"]
    assert cli.main(["estimate", *options]) == 0
    assert "Wrong labels: 10.0 %" in capsys.readouterr().out
