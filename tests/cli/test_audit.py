"""`tfrobustloss audit`: page, CSV and JSON of one's own data, and every mistake."""

import csv
import html
import json
import re

import keras
import numpy as np
import pytest

from tfrobustloss import cli, data

IDS = [f"{i:03d}" for i in range(300)]
CLEAN = np.arange(300) % 3
WRONG = np.arange(300) % 10 == 0
LABELS = np.where(WRONG, (CLEAN + 1) % 3, CLEAN)
NAMES = ["<script>alert(1)</script>", "=dog", "cat"]


@pytest.fixture
def paths(tmp_path, monkeypatch):
    """Paths of data of which a tenth is labelled wrong, and of probabilities."""
    monkeypatch.chdir(tmp_path)
    ids = ["=1+1.png", *IDS[1:]]
    features = np.eye(3, dtype="float32")[CLEAN]
    arrays = {"features": features, "labels": LABELS, "ids": ids, "class_names": NAMES}
    np.savez("own.npz", **arrays)
    probabilities = np.full((300, 3), 0.05)
    probabilities[np.arange(300), CLEAN] = 0.9
    np.save("p.npy", probabilities)
    np.save("few.npy", probabilities[:7])
    (tmp_path / "folder").mkdir()
    return tmp_path


def audit(*options):
    """Runs the command on the data with given probabilities."""
    given = ["--probabilities", "p.npy", "--method", "confident", "--resamples", "20"]
    return cli.main(["audit", "--data", "own.npz", *given, *options])


def rows_of(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_files_and_texts(paths, capsys):
    assert audit("--csv", "wrong.csv", "--json", "audit.json") == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "own.npz: 300 examples of 3 classes, 3 features" in out
    assert "Wrong labels: 10.0 %" in out
    # of the 100 labels of each class, 10 are of the class before
    assert re.search(r"\n=dog +100 +10\.0 +5\.\d to 1\d\.\d +10 +<script>", out)
    assert "30 labels are more likely wrong than right." in out
    assert "Note: Fewer than 200 labels of class <script>" in out
    assert "--data own.npz --corrections wrong.csv" in out
    page = (paths / "audit.html").read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "About 10.0 % of the labels are wrong" in page
    assert "<dt><bdi>method</bdi></dt><dd><bdi>confident</bdi></dd>" in page
    assert page.count("<tr data-given=") == 30
    record = json.loads((paths / "audit.json").read_text())
    assert record["class_names"] == NAMES
    assert record["class_rates"][1]["wrong"]["rate"] == pytest.approx(0.1)
    assert record["data"]["examples"] == 300
    assert "keras" in record["settings"]["versions"]


def test_the_csv_goes_back_in(paths, capsys):
    assert audit("--csv", "wrong.csv") == 0
    text = (paths / "wrong.csv").read_text()
    assert "\n'=1+1.png,'=dog," in text  # no formula
    rows = rows_of("wrong.csv")
    assert len(rows) == 30
    for row in rows:
        row["label"] = row["likelier"]
    with open("edited.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    corrected = data.read("own.npz", corrections="edited.csv")
    assert (corrected.labels == CLEAN).all()
    assert audit("--corrections", "edited.csv") == 0
    out = capsys.readouterr().out
    assert "30 labels corrected\n" in out
    assert "Wrong labels: 0.0 %" in out
    assert "--csv wrong.csv for a list" in out
    # labels put in by hand are not overwritten
    assert audit("--csv", "edited.csv") == 2
    assert "`csv` must be another file: this one holds 30" in capsys.readouterr().err


def test_corrections_made_before_are_in_the_next_csv(paths, capsys):
    # 010 is right now, 011 was right and is wrong now, 001 is left out
    rows = ["id,given,likelier,confidence,label", "010,,,,=dog", "001,=dog,,,(drop)"]
    rows += ["011,cat,,,<script>alert(1)</script>"]
    (paths / "first.csv").write_text("\n".join(rows) + "\n")
    np.save("p.npy", np.delete(np.load("p.npy"), 1, axis=0))
    assert audit("--corrections", "first.csv", "--csv", "second.csv") == 0
    assert "--data own.npz --corrections second.csv" in capsys.readouterr().out
    found = {row["id"]: row for row in rows_of("second.csv")}
    assert found["010"]["label"] == "'=dog"
    assert found["001"]["label"] == "(drop)"
    assert found["011"]["label"] == "<script>alert(1)</script>"
    assert found["011"]["given"] == "cat"  # as in the data
    assert found["011"]["likelier"] == "cat"
    assert float(found["011"]["confidence"]) > 0.5
    assert len(found) == 32  # 30 suspects, 010 and 001
    first, second = (
        data.read("own.npz", corrections=f"{name}.csv") for name in ("first", "second")
    )
    assert (first.labels == second.labels).all()


def test_the_command_that_comes_next_reads_the_same(paths, capsys):
    lines = ["a,odd,kind", *(f"{c},,{NAMES[c]}" for c in LABELS)]
    (paths / "own.csv").write_text("\n".join(lines) + "\n")
    options = ["--data", "own.csv", "--label", "kind", "--ignore", "odd"]
    assert audit(*options, "--csv", "wrong file.csv") == 0
    command = capsys.readouterr().out.strip().split("then ")[-1]
    expected = "tfrobustloss compare --data own.csv --label kind --ignore odd "
    assert command == expected + "--corrections 'wrong file.csv'"


def test_the_code_runs(paths):
    assert audit() == 0
    page = (paths / "audit.html").read_text()
    code = html.unescape(re.search(r"<pre><code>(.*?)</code></pre>", page, re.S)[1])
    assert "loss = losses." in code
    model = keras.Sequential([keras.layers.Dense(3)])
    names = {"model": model}
    code = code.replace("epochs=50", "epochs=1, verbose=0")
    exec(code.replace("Adam(), loss", "Adam(), loss, run_eagerly=True"), names)
    assert names["stop"].best_epoch == 0


def test_trusted_labels_are_no_suspects(paths, capsys):
    # 000 and 010 are wrong, in spite of it
    (paths / "trusted.txt").write_text("=1+1.png\n001\n002\n010\n")
    assert audit("--trusted", "trusted.txt", "--csv", "wrong.csv") == 0
    alarms = "2 of 4 trusted labels looked wrong (50.0 %)"
    assert alarms in capsys.readouterr().out
    assert alarms in (paths / "audit.html").read_text()
    ids = {row["id"] for row in rows_of("wrong.csv")}
    assert len(ids) == 28
    assert not ids & {"'=1+1.png", "010"}


def test_images_by_cross_validation(paths, capsys):
    from PIL import Image

    for i in range(60):  # black dogs and white cats; cat 1 is a dog
        folder = paths / "pets" / ("dog", "<b>cat")[i % 2]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.full((6, 6), 255 * (i % 2 and i > 1), np.uint8)
        Image.fromarray(pixels).save(folder / f"={i}.png")
    short = ["--folds", "2", "--epochs", "8", "--batch-size", "8", "--resamples", "20"]
    short += ["--learning-rate", "0.01"]
    assert cli.main(["audit", "--data", "pets", *short, "--csv", "w.csv"]) == 0
    assert "[2/2] agrees with " in capsys.readouterr().out
    page = (paths / "audit.html").read_text()
    assert 'src="data:image/png;base64,' in page
    assert "<b>cat" not in page
    (row,) = rows_of("w.csv")
    assert row["id"] == "<b>cat/=1.png"
    assert (row["given"], row["likelier"]) == ("<b>cat", "dog")
    assert not list((paths / "pets").glob("*.*"))


def write_annotations(path, drop=()):
    """Three annotators; eve gives every other example the wrong label."""
    rows = ["example,annotator,label"]
    for i in range(90):
        id = "=1+1.png" if i == 0 else IDS[i]
        for name, wrong in (("ann", 0), ("<b>bob", i % 10 == 2), ("eve", i % 2)):
            if id not in drop:
                rows.append(f"{id},{name},{NAMES[(CLEAN[i] + wrong) % 3]}")
    path.write_text("\n".join(rows) + "\n")


def test_annotators(paths, capsys):
    write_annotations(paths / "a.csv")
    assert audit("--annotations", "a.csv", "--json", "audit.json") == 0
    out = capsys.readouterr().out
    # of 90 annotated labels of the data, every tenth is wrong
    assert "3 annotators gave 270 labels to 90 examples; 9 labels of the data" in out
    # by hand: eve is right on 45, where bob is wrong on 9, so she agrees with
    # 36 * 2 + 9 of 180 labels, and these two with each other on 81 of 90
    odd = "eve (agrees with 45.0 % of the others' labels, these with 90.0 % of each"
    assert out.count("At odds with the rest: ") == 1
    assert odd in out
    page = (paths / "audit.html").read_text()
    assert "<h2>Annotators</h2>" in page
    assert "&lt;b&gt;bob" in page
    assert "<b>bob" not in page
    assert "9 of 90 labels" in page
    record = json.loads((paths / "audit.json").read_text())
    by_name = {one["annotator"]: one for one in record["annotators"]}
    assert by_name["eve"]["at_odds"] is True
    assert np.shape(by_name["eve"]["confusion"]) == (3, 3)


def test_annotators_of_examples_that_are_dropped(paths, capsys):
    write_annotations(paths / "a.csv")
    (paths / "first.csv").write_text("id,label\n001,(drop)\n")
    np.save("p.npy", np.delete(np.load("p.npy"), 1, axis=0))
    assert audit("--corrections", "first.csv", "--annotations", "a.csv") == 0
    assert "gave 267 labels to 89 examples" in capsys.readouterr().out


def test_steering_characters_do_not_reach_the_terminal():
    from tfrobustloss.cli import audit_report

    assert audit_report.plain("a\x1b[2Jé\udcff") == "a\\x1b[2Jé\\udcff"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--output", "folder"], "`output` must be the path of a file"),
        (["--csv", "audit.html"], "`csv`.*than --output"),
        (["--csv", "own.npz"], "`csv`.*than --data"),
        (["--json", "p.npy"], "`json`.*than --probabilities"),
        (["--data", "folder", "--csv", "folder/a.csv"], "`csv`.*outside folder"),
        (["--data", "no"], "`data`.*exists"),
        (["--annotations", "no.csv"], "`annotations` must be a file that exists"),
        (["--annotations", "a.csv", "--csv", "a.csv"], "`csv`.*than --annotations"),
        (["--method", "guess"], "one of likelihood.*guess"),
        (["--probabilities", "own.npz"], "names in own.npz` must be.*`probabilities`"),
        (["--probabilities", "no.npy"], "`probabilities` must be a file that exists"),
        (["--probabilities", "few.npy"], r"\(300, 3\): a row an example.*np.savez"),
        (["--resamples", "1"], "`resamples`.*=1"),
        (["--image-size", "3"], "`image_size`.*32x32"),
    ],
)
def test_mistakes_are_one_line(options, message, paths, capsys):
    assert audit(*options) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"tfrobustloss audit: error: [^\n]+\n", err)
    assert re.search(message, err)
    assert not (paths / "audit.html").exists()


def test_probabilities_are_matched_by_id(paths, capsys):
    p, ids = np.load("p.npy"), ["=1+1.png", *IDS[1:]]
    order = np.random.default_rng(0).permutation(300)
    names = NAMES[::-1]
    arrays = {"probabilities": p[order][:, ::-1], "ids": np.array(ids)[order]}
    np.savez("p.npz", **arrays, class_names=names)
    for options in ([], ["--probabilities", "p.npz"]):
        assert audit(*options, "--csv", "wrong.csv") == 0
        assert "Wrong labels: 10.0 %" in capsys.readouterr().out
        found = {row["id"] for row in rows_of("wrong.csv")}
        assert len(found) == 30
        assert "010" in found


def test_data_are_needed_and_classes_have_two_examples(paths, capsys):
    assert cli.main(["audit"]) == 2
    assert "`data` must be given" in capsys.readouterr().err
    arrays = {"features": np.eye(5), "labels": [0, 0, 1, 1, 2]}
    np.savez("few.npz", **arrays)
    assert cli.main(["audit", "--data", "few.npz", "--folds", "2"]) == 2
    assert "two labels or more; '2' has one" in capsys.readouterr().err
