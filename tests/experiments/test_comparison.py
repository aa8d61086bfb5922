"""Comparisons on the real digits, a few epochs each; specs and files by hand."""

import dataclasses
import json
import os

import numpy as np
import pytest

from tfrobustloss import data, losses
from tfrobustloss._core import files
from tfrobustloss.data import noise
from tfrobustloss.experiments import comparison, specs
from tfrobustloss.experiments.comparison import Comparison, Settings

# what is chosen on noisy validation labels is tested below, by JUDGED
QUICK = Settings(
    losses="adma",
    epochs=2,
    seeds=2,
    train_size=200,
    batch_size=50,
    validation_share=0,
)
JUDGED = dataclasses.replace(QUICK, validation_share=0.25, learning_rates=[0.001, 0.1])


def quick(**changes):
    return Comparison(dataclasses.replace(QUICK, **changes))


def accuracies(record):
    return {one["loss"]: one["accuracy"] for one in record["results"]}


# noise


@pytest.mark.parametrize(
    ("text", "dataset", "expected"),
    [
        ("none", "digits", np.eye(10)),
        ("symmetric:0.6", "digits", noise.symmetric(10, 0.6)),
        (" pair:.25", "digits", noise.pair_flip(10, 0.25)),
        ("asymmetric:0.4", "cifar10", noise.asymmetric("cifar10", 0.4)),
        ("asymmetric:0.4", "digits", noise.asymmetric("mnist", 0.4)),
    ],
)
def test_noise_matrix(text, dataset, expected):
    np.testing.assert_array_equal(specs.noise_matrix(text, dataset, 10), expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("symetric:0.6", r"`noise`.*noise='symetric:0.6'\. There are: symmetric"),
        ("symmetric", r"`noise`.*noise='symmetric'.*rate is missing"),
        ("symmetric:", r"`noise`.*noise='symmetric:'.*rate is missing"),
        ("symmetric:a", r"`noise`.*noise='symmetric:a'\.$"),
        ("none:0.5", r"`noise`.*noise='none:0.5'"),
        ("", "`noise`.*noise=''"),
        ("pair:1.5", r"`rate`.*\[0, 1\].*rate=1.5"),
        ("pair:nan", "`rate`.*rate=nan"),
        ("asymmetric:0.4", "dataset='kmnist_10k'.*`pair_flip`"),
    ],
)
def test_bad_noise(text, message):
    with pytest.raises(ValueError, match=message):
        specs.noise_matrix(text, "kmnist_10k", 10)


# losses


def test_loss_registry_is_the_namespace():
    classes = specs.loss_classes()
    public = [getattr(losses, name) for name in losses.__all__]
    public = {one for one in public if isinstance(one, type)}
    public = {one for one in public if issubclass(one, losses.FunctionLoss)}
    public -= {one for one in public if issubclass(one, losses.TaskLoss)}
    public -= {losses.FunctionLoss}
    assert set(classes.values()) == public
    assert all(callable(getattr(losses, name)) for name in classes)


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        ("bi_tempered_logistic:t1=0.5:t2=4", {"t1": 0.5, "t2": 4}),
        ("generalized_cross_entropy:q=.5", {"q": 0.5}),
        ("symmetric_cross_entropy:alpha=1e-2", {"alpha": 0.01}),
        ("focal:alpha=[1, 2,0.5]", {"alpha": [1, 2, 0.5]}),
        ("focal:alpha=None", {"alpha": None}),
        ("taylor_loss:theta=[0,0,1,0,0,0,-2,0,0,0,0,0]:eta=4", {"eta": 4}),
    ],
)
def test_loss_parameters(text, parameters):
    (one,), left_out = specs.named_losses(text, noise.symmetric(3, 0.5))
    assert left_out == {}
    assert one.label == text
    assert one.parameters.items() >= parameters.items()
    config = one.loss.get_config()
    assert config["from_logits"] is True
    assert config.items() >= parameters.items()
    assert json.loads(json.dumps(one.parameters)) == one.parameters


def test_all_is_every_loss():
    counts = np.array([9, 8, 7, 6, 5, 4, 3, 2, 1, 0])
    matrix = noise.symmetric(10, 0.6)
    chosen, left_out = specs.named_losses("all", matrix, counts=counts)
    assert {one.name for one in chosen} == set(specs.loss_classes())
    assert left_out == {}
    filled_in = {one.name: one.filled_in for one in chosen if one.filled_in}
    assert filled_in == {
        "forward_correction": {"transition_matrix": "true noise of this comparison"},
        "backward_correction": {"transition_matrix": "true noise of this comparison"},
        "taylor_loss": {"theta": "squared error"},
        "logit_adjusted": {"class_frequencies": "counts of the training labels"},
    }
    by_name = {one.name: one.parameters for one in chosen}
    matrix = by_name["forward_correction"]["transition_matrix"]
    np.testing.assert_array_equal(matrix, noise.symmetric(10, 0.6))
    assert by_name["taylor_loss"]["theta"] == [0, 0, 0, 2, 0, 0, -2, 0, 0, 0, 0, 0]
    frequencies = by_name["logit_adjusted"]["class_frequencies"]
    assert frequencies == [9, 8, 7, 6, 5, 4, 3, 2, 1, 1]


def test_all_leaves_out_what_cannot_be():
    singular = noise.symmetric(10, 0.9)
    chosen, left_out = specs.named_losses("all,focal:gamma=0,focal", singular)
    labels = [one.label for one in chosen]
    assert sorted(labels) == sorted(set(labels))  # `focal` is there once
    assert "focal:gamma=0" in labels
    assert list(left_out) == ["backward_correction", "logit_adjusted"]
    assert "invertible" in left_out["backward_correction"]
    assert "Count the training labels" in left_out["logit_adjusted"]
    with pytest.raises(ValueError, match="backward_correction: .*invertible"):
        specs.named_losses("backward_correction", singular)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("adam", r"losses='adam'\. There are: adma, .*taylor_loss"),
        ("gce", r"losses='gce'\. There are: generalized_cross_entropy, "),
        ("", r"losses=''\. There are: "),
        ("adma,,focal", r"losses=''\. There are: "),
        ("FunctionLoss", "losses='FunctionLoss'"),
        (
            "bi_tempered_logistic:t3=1",
            "losses='bi_tempered_logistic:t3=1'.*'t3'. There are: t[12], t[12], lab",
        ),
        ("focal:gama=1", "No parameter is called 'gama'. There are: gamma, alpha"),
        ("focal:from_logits=false", "'from_logits'. There are: gamma, alpha"),
        ("focal:2", r"name:key=value.*losses='focal:2'\. There are: gamma"),
        ("mean_absolute_error:q=1", "'q'. It has no parameters"),
        ("generalized_cross_entropy:q=2", r"`q` must be in \[0, 1\].*q=2"),
        ("generalized_cross_entropy:q=NaN", "`q`.*q=nan"),
        ("generalized_cross_entropy:q=high", "`q` must be a number.*q='high'"),
        ("generalized_cross_entropy:q=true", "`q` must be a number.*q=True"),
        ("generalized_cross_entropy:q=", "`q` must be a number.*q=''"),
        ("focal:alpha=[1,2]", r"focal:alpha=\[1,2\]: .*alpha"),
        ("taylor_loss:theta=[1,2]", r"taylor_loss:theta=\[1,2\]: .*12 or 16"),
        ("forward_correction:transition_matrix=[[1,0],[0,1]]", "10 classes"),
    ],
)
def test_bad_losses(text, message):
    with pytest.raises(ValueError, match=message):
        specs.named_losses(text, noise.symmetric(10, 0.6))


# settings


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "`epochs`.*epochs=0"),
        ({"batch_size": 0}, "`batch_size`.*batch_size=0"),
        ({"seeds": 0}, "`seeds`.*seeds=0"),
        ({"train_size": 0}, "`train_size`.*train_size=0"),
        ({"train_size": 1353}, r"`train_size`.*\[1, 1352\].*train_size=1353"),
        ({"learning_rate": -1.0}, "`learning_rate`.*learning_rate=-1.0"),
        ({"learning_rate": float("nan")}, "`learning_rate`.*learning_rate=nan"),
        ({"momentum": 1.0, "optimizer": "sgd"}, r"`momentum`.*\[0, 1\).*momentum=1.0"),
        ({"momentum": 0.9, "optimizer": "adam"}, "`momentum`.*adam has none"),
        ({"optimizer": "sdg"}, "`optimizer`.*adam.*sgd.*optimizer='sdg'"),
        ({"model": "mlp4"}, "`model`.*cnn4, mlp2, mlp3.*model='mlp4'"),
        ({"dataset": "minst"}, "name='minst'"),
        ({"validation_share": 1.0}, r"`validation_share`.*\[0, 1\).*share=1.0"),
        ({"validation_share": 0.2, "learning_rates": [0.0]}, "`learning_rates`.*=0.0"),
        ({"matrix": "noise"}, "`matrix`.*'estimated', 'none' or.*matrix='noise'"),
        ({"matrix": "estimated"}, "`validation_share`.*above 0 with a matrix"),
        ({"matrix": np.eye(3)}, r"`matrix.shape`.*of 10 classes.*\(3, 3\)"),
        ({"matrix": np.full((10, 10), 0.1)}, "Leave the matrix out"),
    ],
)
def test_bad_settings(changes, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        quick(data_dir=str(tmp_path), **changes)


@pytest.mark.parametrize(
    ("optimizer", "learning_rate", "momentum"),
    [("sgd", 0.01, 0.9), ("adam", 0.001, None), ("rmsprop", 0.001, 0.0)],
)
def test_optimizer_defaults(optimizer, learning_rate, momentum):
    record = quick(optimizer=optimizer).record
    assert record["learning_rates"] == [learning_rate]
    judged = quick(optimizer=optimizer, validation_share=0.5).record
    expected = [0.3 * learning_rate, learning_rate, 3 * learning_rate]
    assert judged["learning_rates"] == pytest.approx(expected)
    assert record["momentum"] == momentum


# training


@pytest.fixture(scope="module")
def record():
    """A comparison of two losses with two seeds."""
    return quick(losses="adma,forward_correction").run()


def test_record(record):
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert record["dataset"] == "digits"
    assert record["noise"] == "symmetric:0.6"
    assert record["noise_kind"] == "symmetric"
    np.testing.assert_array_equal(record["noise_matrix"], noise.symmetric(10, 0.6))
    assert record["realized_noise_rate"] == pytest.approx(0.6, abs=0.1)
    by_seed = record["realized_noise_rate_by_seed"]
    assert record["realized_noise_rate"] == pytest.approx(np.mean(by_seed), abs=1e-5)
    assert (record["train_size"], record["test_size"]) == (200, 445)
    assert (record["model"], record["epochs"], record["seeds"]) == ("mlp2", 2, [0, 1])
    assert {"keras", "backend", "numpy", "python"} < set(record["versions"])
    assert set(record["hardware"]) == {"processor", "cores", "devices"}
    assert record["interrupted"] is False
    assert [one["loss"] for one in record["results"]] == ["adma", "forward_correction"]
    for one in record["results"]:
        accuracy = np.asarray(one["accuracy"])
        assert accuracy.shape == (2, 2)
        assert ((accuracy > 0.02) & (accuracy < 1)).all()
        ends, tops = accuracy[:, -1], accuracy.max(axis=1)
        for values, summary in ((ends, one["last"]), (tops, one["best"])):
            assert summary["mean"] == pytest.approx(values.mean(), abs=1e-5)
            assert summary["sd"] == pytest.approx(values.std(ddof=1), abs=1e-5)
        assert one["seconds"] > 0
        assert one["diverged"] == []


def test_one_seed_alone_has_the_same_numbers_and_no_spread(record):
    (one,) = quick(seeds=1).run()["results"]
    assert one["last"] == {"mean": one["accuracy"][0][-1], "sd": 0.0}
    assert one["accuracy"] == accuracies(record)["adma"][:1]


def test_losses_are_compared_in_pairs():
    # one loss under three labels, with another in between: if weights, labels, batch
    # order or the optimizer's state differed, so would the accuracies
    labels = ["focal:gamma=1", "focal:gamma=1.0", "focal:gamma=1:alpha=null"]
    order = ",".join([labels[0], "mean_absolute_error", *labels[1:]])
    seen = accuracies(quick(losses=order).run())
    assert seen[labels[0]] == seen[labels[1]] == seen[labels[2]]
    assert seen[labels[0]] != seen["mean_absolute_error"]


def test_seeds_differ(record):
    for first, second in accuracies(record).values():
        assert first != second


def test_clean_labels_are_learned():
    record = quick(
        losses="cross_entropy", noise="none", train_size=None, epochs=10, seeds=1
    ).run()
    assert record["realized_noise_rate"] == 0
    assert record["results"][0]["last"]["mean"] > 0.9


def test_divergence_does_not_stop_the_rest():
    flat = f"taylor_loss:theta={[0] * 12}"
    names = f"cross_entropy,{flat}"
    record = quick(
        losses=names, optimizer="sgd", learning_rate=1e30, momentum=0.0, epochs=3
    ).run()
    broken, still = record["results"]
    assert broken["diverged"] == [0, 1]
    assert broken["accuracy"] == [[0.0] * 3] * 2
    assert still["diverged"] == []
    assert len(set(still["accuracy"][0])) == 1  # no gradient: nothing moves
    json.dumps(record, allow_nan=False)


def test_interrupt_keeps_what_is_finished():
    finished = []

    def on_epoch(label, seed, accuracy):
        if (label, seed, len(accuracy)) == ("focal", 1, 1):
            raise KeyboardInterrupt

    record = quick(losses="adma,focal,cross_entropy").run(on_epoch, finished.append)
    assert record["interrupted"] is True
    shapes = {name: np.shape(runs) for name, runs in accuracies(record).items()}
    assert shapes == {"adma": (2, 2), "focal": (1, 2)}
    assert [one["loss"] for one in finished] == ["adma"]


# judged by noisy validation labels


def test_rate_and_epoch_are_chosen_on_noisy_labels():
    comparison = Comparison(dataclasses.replace(JUDGED, epochs=8))
    record = comparison.run()
    assert (record["train_size"], record["validation_size"]) == (150, 50)
    assert [one["loss"] for one in record["results"]] == ["cross_entropy", "adma"]
    for one in record["results"]:
        tried = {each["learning_rate"]: each["estimate"]
                 for each in one["learning_rates_tried"]}  # fmt: skip
        assert set(tried) == {0.001, 0.1}
        assert one["learning_rate"] == max(tried, key=tried.get)
        estimates = np.asarray(one["estimates"])
        assert estimates.shape == (2, 8)
        # the mean of five epochs around, fewer at the ends; the first of equals
        around = [slice(max(0, epoch - 2), epoch + 3) for epoch in range(8)]
        for run, epoch in zip(estimates, one["stopped_epochs"], strict=True):
            scores = np.round([run[part].mean() for part in around], 5)
            assert epoch == 1 + scores.argmax()
        pairs = zip(one["accuracy"], one["stopped_epochs"], strict=True)
        stopped = [run[epoch - 1] for run, epoch in pairs]
        assert one["stopped"]["mean"] == pytest.approx(np.mean(stopped), abs=1e-5)
        found = one["estimated"]
        assert found["low"] <= found["accuracy"] <= found["high"]
    best = max(record["results"], key=lambda one: one["estimated"]["accuracy"])
    assert best["against"]["near_best"]
    assert best["against"]["behind"] == 0
    json.dumps(record, allow_nan=False)


def test_the_test_set_chooses_nothing():
    changed = Comparison(JUDGED)
    task = changed._task
    wrong = task.test[0], (task.test[1] + 1) % 10
    changed._task = dataclasses.replace(task, test=wrong)
    for one, other in zip(
        Comparison(JUDGED).run()["results"], changed.run()["results"], strict=True
    ):
        for name in ("estimates", "stopped_epochs", "learning_rate", "estimated"):
            assert one[name] == other[name]
        assert one["accuracy"] != other["accuracy"]


def test_a_rate_that_diverges_counts_as_the_worst():
    settings = dataclasses.replace(
        JUDGED,
        losses="cross_entropy",
        optimizer="sgd",
        momentum=0.0,
        epochs=3,
        seeds=1,
        learning_rates=[1e30, 1e-9],
        matrix=noise.symmetric(10, 0.6),
    )
    (one,) = Comparison(settings).run()["results"]
    tried = [each["estimate"] for each in one["learning_rates_tried"]]
    worst = np.linalg.inv(noise.symmetric(10, 0.6)).min()
    assert tried[0] == pytest.approx(worst, abs=1e-5)
    assert one["learning_rate"] == 1e-9
    run = comparison._Run(2, 4, worst=-0.5)
    run.accuracy, run.estimates = [0.4, 0.1], [0.3, 0.1]
    run.worth[:2] = 0.3
    run.diverge(1)
    assert (run.accuracy, run.estimates) == ([0.4, 0, 0, 0], [0.3, -0.5, -0.5, -0.5])
    np.testing.assert_array_equal(run.worth[:, 0], [0.3, -0.5, -0.5, -0.5])


def own(test=True, rate=0.3):
    """Digits as a user's own data, with wrong labels."""
    train = data.load("digits", "train")
    noisy = noise.corrupt(train.labels, noise.pair_flip(10, rate), 0)
    found = data.LabelledData(
        train.images,
        noisy,
        [f"digit {i}" for i in range(10)],
        [str(i) for i in range(len(noisy))],
        kind="images",
    ).select(np.arange(0, len(noisy), 2))
    if not test:
        return found
    held = data.load("digits", "test")
    clean = data.LabelledData(
        held.images, held.labels, found.class_names, range(445), kind="images"
    )
    return dataclasses.replace(found, test=clean)


def own_settings(**changes):
    settings = dict(noise="none", train_size=None, learning_rates=[0.003], seeds=1)
    return dataclasses.replace(JUDGED, **{**settings, **changes})


def test_own_data():
    settings = own_settings(dataset=own(), losses="forward_correction", epochs=4)
    record = Comparison(settings).run()
    assert record["own_data"]["class_names"][3] == "digit 3"
    assert record["realized_noise_rate"] is None
    assert record["judged_by"] == "corrected"
    assert record["noise_matrix_is"] == "estimated"
    rate = record["estimated_noise"]
    assert rate["low"] <= rate["rate"] <= rate["high"]
    assert rate["rate"] == pytest.approx(0.3, abs=0.15)
    baseline, forward = record["results"]
    np.testing.assert_array_equal(
        forward["parameters"]["transition_matrix"], record["noise_matrix"]
    )
    assert record["test_size"] == 445
    # the estimate without clean labels is that of the clean test set
    error = 4 * baseline["estimated"]["standard_error"]
    truth = baseline["stopped"]["mean"]
    assert baseline["estimated"]["accuracy"] == pytest.approx(truth, abs=error)
    json.dumps(record, allow_nan=False)


def test_own_data_without_a_clean_label():
    matrix = noise.pair_flip(10, 0.3)  # given, so that none is estimated
    settings = own_settings(dataset=own(False), losses="adma", epochs=1, matrix=matrix)
    record = Comparison(settings).run()
    assert record["judged_by"] == "corrected"
    np.testing.assert_array_equal(record["noise_matrix"], matrix)
    assert record["test_size"] != 445
    for one in record["results"]:
        assert "accuracy" not in one
        assert np.isfinite(one["estimated"]["accuracy"])
    json.dumps(record, allow_nan=False)


def test_own_data_needs_validation_or_a_test_set():
    settings = dataclasses.replace(QUICK, dataset=own(False), noise="none")
    settings = dataclasses.replace(settings, train_size=None)
    with pytest.raises(ValueError, match="`validation_share`.*without a test set"):
        Comparison(settings)
    with pytest.raises(ValueError, match="`noise`.*'none' for labels that are wrong"):
        Comparison(dataclasses.replace(settings, noise="pair:0.1"))


# files


def test_write_replaces_a_file(tmp_path):
    path = tmp_path / "result.json"
    path.write_text("old")
    comparison.write({"results": [1]}, str(path))
    assert json.loads(path.read_text()) == {"results": [1]}
    assert os.listdir(tmp_path) == ["result.json"]


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "result.json"
    path.write_text("old")
    with pytest.raises(ValueError, match="nan"):
        comparison.write({"accuracy": float("nan")}, str(path))
    with pytest.raises(TypeError):
        files.write(str(path), "text, where bytes are due")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["result.json"]


def test_writing_through_a_link_keeps_the_link(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "real")
    files.write(str(tmp_path / "link"), b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_check_writable(tmp_path):
    files.check_writable("compare", "output", str(tmp_path / "new.json"))
    assert os.listdir(tmp_path) == []
    (tmp_path / "file").touch()
    for path, message in [
        (tmp_path, "`output` must be the path of a file"),
        ("", "`output` must be the path of a file.*output=''"),
        (os.devnull, "`output` must be the path of a file"),
        (tmp_path / "no" / "a.json", "in a folder that exists.*mkdir -p"),
        (tmp_path / "file" / "a.json", "in a folder that exists"),
        (tmp_path / ("a" * 300), "that can be written.*File name too long"),
    ]:
        with pytest.raises(ValueError, match=message):
            files.check_writable("compare", "output", str(path))
