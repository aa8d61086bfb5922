"""Texts that `tfrobustloss compare` prints."""

from typing import Any

from tfrobustloss.cli import console


def introduction(record: dict[str, Any]) -> str:
    """The data and the training that follow, and the losses left out."""
    wrong = record["realized_noise_rate"]
    lines = [
        f"{record['dataset']}: {record['train_size']} training images, "
        f"{console.percent(wrong)} of their labels wrong ({record['noise']}); "
        f"{record['test_size']} test images with clean labels",
        f"{record['model']}, {_training(record)}",
    ]
    for name, reason in record["left_out"].items():
        lines.append(f"Left out: {name}. {reason}")
    return "\n".join([*lines, ""])


def _training(record: dict[str, Any]) -> str:
    momentum = record["momentum"]
    parts = [
        f"{record['optimizer']} at learning rate {record['learning_rate']:g}",
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
        self._done = 0

    def on_epoch(self, label: str, seed: int, accuracy: list[float]) -> None:
        """Takes the accuracy of each epoch so far."""
        trainings = self._done * self._settings.seeds + seed
        self._progress.update(
            trainings * self._settings.epochs + len(accuracy),
            f"{label}, seed {seed}: {console.percent(accuracy[-1])}",
        )

    def on_result(self, result: dict[str, Any]) -> None:
        """Takes the results of a loss that is done."""
        self._done += 1
        last, best = (console.percent(result[key]["mean"]) for key in ("last", "best"))
        self._progress.line(
            f"[{self._done}/{self._total}] {result['loss']}: last {last}, best {best}, "
            f"{result['seconds']:.1f} s"
        )


def steps(comparison: Any) -> int:
    """Number of epochs of all losses and seeds."""
    settings = comparison.settings
    return len(comparison.losses) * settings.seeds * settings.epochs


def table(record: dict[str, Any]) -> str:
    """The results, sorted by last-epoch accuracy, with their footnotes."""
    results = sorted(record["results"], key=lambda one: -one["last"]["mean"])
    if not results:
        return "No training was finished."
    rows = [("loss", "last epoch", "best epoch", "seconds")]
    for one in results:
        runs = len(one["accuracy"])
        last, best = _accuracy(one["last"], runs), _accuracy(one["best"], runs)
        rows.append((one["loss"], last, best, f"{one['seconds']:.1f}"))
    seeds = len(record["seeds"])
    spread = f", mean ± sd over {seeds} seeds" if seeds > 1 else ""
    title = f"Accuracy on the clean test set in %{spread}"
    return console.table(title, rows, _footnotes(record, results))


def _accuracy(accuracy: dict[str, float], runs: int) -> str:
    if runs > 1:
        return console.mean_and_sd(accuracy["mean"], accuracy["sd"])
    return f"{100 * accuracy['mean']:.1f}"


def _footnotes(record: dict[str, Any], results: list[dict[str, Any]]) -> list[str]:
    notes = [
        "The best epoch is chosen on the test set, which is not possible in practice, "
        "where all labels may be wrong."
    ]
    matrix = [one["loss"] for one in results if "transition_matrix" in one["filled_in"]]
    if matrix:
        notes.append(
            f"Given the true noise matrix, which the others do not know: "
            f"{', '.join(matrix)}."
        )
    for one in results:
        others = {k: v for k, v in one["filled_in"].items() if k != "transition_matrix"}
        for key, value in others.items():
            notes.append(f"{one['loss']}: {key} not given, taken as the {value}.")
        if one["diverged"]:
            seeds = ", ".join(map(str, one["diverged"]))
            notes.append(
                f"{one['loss']}: diverged with seed {seeds}; counted as 0 from then."
            )
        if len(one["accuracy"]) < len(record["seeds"]):
            done = console.count(len(one["accuracy"]), "seed")
            notes.append(f"{one['loss']}: interrupted after {done}.")
    if record["interrupted"]:
        notes.append("Interrupted: what was finished is above.")
    return notes
