"""Texts that `tfrobustloss compare` prints."""

from typing import Any

from tfrobustloss.cli import console


def introduction(record: dict[str, Any]) -> str:
    """The data and the training that follow, and the losses left out."""
    lines = [_data(record), f"{record['model']}, {_training(record)}"]
    if record["validation_size"]:
        how = "accuracy"
        if record["judged_by"] == "corrected":
            how = f"accuracy corrected by the {record['noise_matrix_is']} noise matrix"
        lines.append(
            f"Learning rates and epochs are chosen by {how} on the noisy labels of "
            f"{record['validation_size']} examples held out."
        )
    lines += record["notes"]
    for name, reason in record["left_out"].items():
        lines.append(f"Left out: {name}. {reason}")
    return "\n".join([*lines, ""])


def _data(record: dict[str, Any]) -> str:
    tested = f"; {record['test_size']} test examples with clean labels"
    tested = tested if record["test_size"] else "; no clean label anywhere"
    own = record["own_data"]
    if own is None:
        wrong = console.percent(record["realized_noise_rate"])
        return (
            f"{record['dataset']}: {record['train_size']} training images, "
            f"{wrong} of their labels wrong ({record['noise']}){tested}"
        )
    noise = record["estimated_noise"]
    wrong = ""
    if noise:
        low, high = 100 * noise["low"], 100 * noise["high"]
        wrong = (
            f", about {console.percent(noise['rate'])} of their labels wrong "
            f"({low:.0f} to {high:.0f} %)"
        )
    classes = console.count(len(own["class_names"]), "class").replace("sss", "sses")
    return (
        f"{own['source']}: {record['train_size']} training examples of {classes}"
        f"{wrong}{tested}"
    )


def _training(record: dict[str, Any]) -> str:
    momentum, rates = record["momentum"], record["learning_rates"]
    shown = ", ".join(f"{rate:g}" for rate in rates)
    rate = f"at learning rate {shown}"
    if len(rates) > 1:
        rate = f"each loss at the best of the learning rates {shown}"
    parts = [
        f"{record['optimizer']} {rate}",
        f"momentum {momentum:g}" if momentum else "",
        f"batches of {record['batch_size']}",
        console.count(record["epochs"], "epoch"),
        console.count(len(record["seeds"]), "seed"),
    ]
    return ", ".join(part for part in parts if part)


class Reporter:
    """Prints a line a finished loss, and moves the bar with every epoch.

    Args:
        comparison: A `Comparison`.
        progress: A `console.Progress`.
    """

    def __init__(self, comparison: Any, progress: console.Progress) -> None:
        self._progress = progress
        self._total = len(comparison.losses)
        self._settings = comparison.settings
        self._epochs = 0
        self._done = 0

    def on_epoch(self, label: str, seed: int, accuracy: list[float]) -> None:
        """Takes the accuracy of each epoch so far."""
        self._epochs += 1
        self._progress.update(
            self._epochs, f"{label}, seed {seed}: {console.percent(accuracy[-1])}"
        )

    def on_result(self, result: dict[str, Any]) -> None:
        """Takes the results of a loss that is done."""
        self._done += 1
        found = []
        if "last" in result:
            for name in filter(result.__contains__, ("last", "stopped", "best")):
                found.append(f"{name} {console.percent(result[name]['mean'])}")
        elif "estimated" in result:
            found = [f"stopped {console.percent(result['estimated']['accuracy'])}"]
        self._progress.line(
            f"[{self._done}/{self._total}] {result['loss']}: {', '.join(found)}, "
            f"{result['seconds']:.1f} s"
        )


def steps(comparison: Any) -> int:
    """Number of epochs of all trainings."""
    trainings = len(comparison.rates) + comparison.settings.seeds - 1
    return len(comparison.losses) * trainings * comparison.settings.epochs


def table(record: dict[str, Any]) -> str:
    """The results, sorted by the accuracy of stopped trainings, with footnotes.

    Without noisy validation they are sorted by last-epoch accuracy.
    """
    results = sorted(record["results"], key=lambda one: -_rank(one))
    if not results:
        return "No training was finished."
    judged, tested = record["validation_size"] > 0, record["test_size"] > 0
    header = ["loss"]
    if judged:
        header += ["rate", "epoch", "estimated"]
    if tested:
        header += ["last epoch", *(["stopped"] if judged else []), "best epoch"]
    rows = [(*header, "seconds")]
    for one in results:
        runs, cells = len(one["seconds_by_seed"]), [one["loss"]]
        if judged:
            cells += [f"{one['learning_rate']:g}", _epochs(one), _estimate(one)]
        if tested:
            cells.append(_accuracy(one["last"], runs))
            cells += [_accuracy(one["stopped"], runs)] if judged else []
            cells.append(_accuracy(one["best"], runs))
        rows.append((*cells, f"{one['seconds']:.1f}"))
    seeds = len(record["seeds"])
    spread = f", mean ± sd over {seeds} seeds" if seeds > 1 else ""
    where = "on the clean test set" if tested else "estimated without clean labels"
    title = f"Accuracy {where} in %{spread if tested else ''}"
    return console.table(title, rows, _footnotes(record, results))


def _rank(one: dict[str, Any]) -> float:
    if "stopped" in one:
        return one["stopped"]["mean"]
    if "estimated" in one:
        return one["estimated"]["accuracy"]
    return one["last"]["mean"]


def _epochs(one: dict[str, Any]) -> str:
    epochs = sorted(one["stopped_epochs"])
    return f"{epochs[0]}" if epochs[0] == epochs[-1] else f"{epochs[0]}-{epochs[-1]}"


def _estimate(one: dict[str, Any]) -> str:
    found = one["estimated"]
    low, high = 100 * found["low"], 100 * found["high"]
    mark = "=" if one["against"]["near_best"] else " "
    return f"{100 * found['accuracy']:.1f} ({low:.0f}-{high:.0f}){mark}"


def _accuracy(accuracy: dict[str, float], runs: int) -> str:
    if runs > 1:
        return console.mean_and_sd(accuracy["mean"], accuracy["sd"])
    return f"{100 * accuracy['mean']:.1f}"


def _footnotes(record: dict[str, Any], results: list[dict[str, Any]]) -> list[str]:
    notes = []
    if record["validation_size"]:
        notes += _judgement(record, results)
    if record["test_size"]:
        notes.append(
            "Best epoch: chosen on the clean test set, to show what is left to gain."
        )
    matrix = [one["loss"] for one in results if "transition_matrix" in one["filled_in"]]
    if matrix:
        known = f"the {record['noise_matrix_is']} noise matrix"
        if record["noise_matrix_is"] == "true":
            known += ", which the others do not know"
        notes.append(f"Given {known}: {', '.join(matrix)}.")
    for one in results:
        others = {k: v for k, v in one["filled_in"].items() if k != "transition_matrix"}
        for key, value in others.items():
            notes.append(f"{one['loss']}: {key} not given, taken as the {value}.")
        if one["diverged"]:
            seeds = ", ".join(map(str, one["diverged"]))
            notes.append(
                f"{one['loss']}: diverged with seed {seeds}; no answer counts as "
                "right from then on."
            )
        if len(one["seconds_by_seed"]) < len(record["seeds"]):
            done = console.count(len(one["seconds_by_seed"]), "seed")
            notes.append(f"{one['loss']}: interrupted after {done}.")
    if record["interrupted"]:
        notes.append("Interrupted: what was finished is above.")
    return notes


def _judgement(record: dict[str, Any], results: list[dict[str, Any]]) -> list[str]:
    """Footnotes on the noisy validation: its columns, and which losses it favours."""
    size, kind = record["validation_size"], record["judged_by"]
    corrected = ", corrected by the noise matrix" if kind == "corrected" else ""
    notes = [
        f"Rate, epoch, stopped: chosen by accuracy on {size} noisy labels{corrected}. "
        "No clean label was used.",
        "Estimated: accuracy on "
        + ("clean" if corrected else "noisy")
        + " labels with its 95 % interval, at epochs chosen by other examples. Losses "
        "with = cannot be told apart from the best.",
    ]
    if corrected and record["noise_matrix_is"] == "estimated":
        notes.append(
            "The interval takes the estimated noise matrix for right, which it may not "
            "be: an estimated rate can be several points off."
        )
    others = [one for one in results if one["loss"] != "cross_entropy"]
    better = [one["loss"] for one in others if one["against"]["beats_baseline"]]
    if others:
        notes.append(
            "Better than cross-entropy, stopped, beyond chance: "
            f"{', '.join(better) if better else 'none'}."
        )
    return notes


def recommendation(record: dict[str, Any]) -> str:
    """The `compile` line and the callback to paste; empty without a judgement."""
    judged = [one for one in record["results"] if "against" in one]
    if not judged:
        return ""
    chosen = max(judged, key=lambda one: one["estimated"]["accuracy"])
    reason = "the highest estimated accuracy"
    if not chosen["against"]["beats_baseline"]:
        base = [one for one in judged if one["loss"] == "cross_entropy"]
        chosen = base[0] if base else chosen
        reason = "no loss is better beyond chance"
    matrix = "None"
    lines = ["", f"Recommended: {chosen['loss']}, stopped ({reason}).", ""]
    lines += ["from tfrobustloss import data, losses, training"]
    corrected = record["judged_by"] == "corrected"
    parameters = dict(chosen["parameters"])
    if corrected or "transition_matrix" in parameters:
        rows = [
            "    [" + ", ".join(f"{value:.4g}" for value in row) + "],"
            for row in record["noise_matrix"]
        ]
        if len(rows) <= 12:
            lines += ["matrix = [", *rows, "]"]
        else:
            lines += ['matrix = ...  # "noise_matrix" of the file of --output']
        matrix = "matrix" if corrected else "None"
    arguments = [
        f"{name}={'matrix' if name == 'transition_matrix' else repr(value)}"
        for name, value in parameters.items()
    ]
    optimizer = _class_name(record["optimizer"])
    loss = f"losses.{_loss_class(chosen['name'])}"
    lines += [
        f"loss = {loss}({', '.join([*arguments, 'from_logits=True'])})",
        f"optimizer = keras.optimizers.{optimizer}({chosen['learning_rate']:g})",
        "model.compile(optimizer, loss)  # a model that ends in logits",
        "train, validation = data.split_validation(labels)",
        "model.fit(",
        "    inputs[train], labels[train], batch_size="
        f"{record['batch_size']}, epochs={record['epochs']},",
        "    validation_data=(inputs[validation], labels[validation]),",
        f"    callbacks=[training.StopOnNoisyValidation({matrix})],",
        ")",
    ]
    return "\n".join(lines)


def _loss_class(name: str) -> str:
    from tfrobustloss.experiments import loss_classes

    return loss_classes()[name].__name__


def _class_name(optimizer: str) -> str:
    from tfrobustloss.experiments import comparison

    return comparison.optimizers()[optimizer].__name__
