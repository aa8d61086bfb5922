"""Comparison of losses: one small network per loss and seed, trained on wrong labels.

At a given seed every loss gets the same initial weights, the same noisy labels and the
same order of batches, and all losses share one setting. The learning rate is not tuned
for any of them; a loss whose gradients differ in scale from those of cross-entropy
would do better or worse with another one.
"""

import dataclasses
import inspect
import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from tfrobustloss import data
from tfrobustloss._core import files, provenance
from tfrobustloss._core.validation import ParameterError, Range, check
from tfrobustloss.experiments.retraining import Network
from tfrobustloss.experiments.specs import NamedLoss, architecture, named_losses, pick
from tfrobustloss.experiments.task import Task, prepare

__all__ = ["Comparison", "Settings", "write"]

_LIMITS = {
    "epochs": Range(low=1, integer=True),
    "batch_size": Range(low=1, integer=True),
    "learning_rate": Range(low=0, open_low=True, optional=True),
    "momentum": Range(0, 1, open_high=True, optional=True),
    "seeds": Range(low=1, integer=True),
    "train_size": Range(low=1, integer=True, optional=True),
}


@dataclasses.dataclass(frozen=True)
class Settings:
    """The one setting under which every loss of a comparison is trained.

    Attributes:
        dataset: `"digits"` or the name of a TFDS image classification set.
        data_dir: Folder of prepared TFDS data, or None for the default of TFDS.
        noise: `none`, `symmetric:R`, `pair:R` or `asymmetric:R`, R in [0, 1].
        losses: Comma-separated `name` or `name:key=value:key=value`, or `all`.
        model: Name of a function of `tfrobustloss.architectures`.
        epochs: Int >= 1.
        batch_size: Int >= 1.
        optimizer: Name of a Keras optimizer, in lower case.
        learning_rate: Float > 0, or None for the optimizer's own in Keras.
        momentum: Float in [0, 1), or None for 0.9 with SGD and the optimizer's own
            otherwise.
        seeds: Int >= 1; the seeds are 0, 1, ... seeds - 1.
        train_size: Number of training images, or None for all.
    """

    dataset: str = "digits"
    data_dir: str | None = None
    noise: str = "symmetric:0.6"
    losses: str = (
        "cross_entropy,generalized_cross_entropy,symmetric_cross_entropy,"
        "mean_absolute_error,bi_tempered_logistic:t1=0.5:t2=4.0,forward_correction"
    )
    model: str = "mlp2"
    epochs: int = 150
    batch_size: int = 128
    optimizer: str = "adam"
    learning_rate: float | None = None
    momentum: float | None = None
    seeds: int = 3
    train_size: int | None = None

    def task(self) -> Task:
        """The data and the network, with no images set aside for validation."""
        return Task(
            dataset=self.dataset,
            architecture=self.model,
            noise=self.noise,
            train_size=self.train_size,
            validation_size=0,
            data_dir=self.data_dir,
        )


class Comparison:
    """Trains several losses under one setting and measures their test accuracy.

    The constructor checks the settings and loads the data.

    Args:
        settings: `Settings`.

    Attributes:
        settings: As given.
        losses: List of `NamedLoss`, in the order given.
        left_out: Dict of the losses left out, with the reasons.
        record: Dict of the settings and the data, and of the `results` so far.

    Raises:
        ValueError: A setting is outside its range or names something unknown.
        ImportError: The dataset needs a package that is not installed.

    Example:
        >>> comparison = Comparison(Settings(losses="adma", epochs=1, seeds=1))
        >>> record = comparison.run()
        >>> [(one["loss"], len(one["accuracy"])) for one in record["results"]]
        [('adma', 1)]
    """

    def __init__(self, settings: Settings) -> None:
        check("compare", _LIMITS, **vars(settings))
        architecture("compare", "model", settings.model)
        self.settings = settings
        self._optimizer()  # fails before the data are loaded, not after
        self._task = prepare(settings.task())
        matrix = self._task.transition_matrix
        self.losses, self.left_out = named_losses(settings.losses, matrix)
        self._images, columns = self._task.train(range(settings.seeds))
        self._noisy = [
            np.ascontiguousarray(columns[:, self._task.draw(seed)])
            for seed in range(settings.seeds)
        ]
        self.record = self._describe(matrix)

    def run(
        self,
        on_epoch: Callable[[str, int, list[float]], Any] | None = None,
        on_result: Callable[[dict], Any] | None = None,
    ) -> dict[str, Any]:
        """Trains every loss with every seed; Ctrl-C stops and keeps the results so far.

        Args:
            on_epoch: Called after each epoch with `label, seed, accuracy`; accuracy
                is a list with that of each epoch so far.
            on_result: Called with the entry of `results` of each loss that is done.

        Returns:
            The record: `results` has an entry for every loss that finished at least
            one seed, and `interrupted` is True if losses or seeds are missing.
        """
        on_epoch = on_epoch or (lambda label, seed, accuracy: None)
        on_result = on_result or (lambda result: None)
        try:
            network = Network(self._task.network)
            for one in self.losses:
                self._run_loss(one, network, on_epoch)
                on_result(self.record["results"][-1])
        except KeyboardInterrupt:
            self.record["interrupted"] = True
        return self.record

    def _run_loss(self, one: NamedLoss, network: Network, on_epoch: Callable) -> None:
        """Trains one loss; each seed is recorded as soon as it is done."""
        begin, place = time.perf_counter(), len(self.record["results"])
        network.compile(self._optimizer(), one.loss)
        runs: list[list[float]] = []
        diverged: list[int] = []
        for seed in self.record["seeds"]:
            network.restart(seed)
            accuracy, finite = self._train(network, one.label, seed, on_epoch)
            runs.append(accuracy)
            diverged += [] if finite else [seed]
            result = {
                "loss": one.label,
                "name": one.name,
                "parameters": one.parameters,
                "filled_in": one.filled_in,
                "accuracy": runs,
                "last": _mean_and_sd([run[-1] for run in runs]),
                "best": _mean_and_sd([max(run) for run in runs]),
                "diverged": diverged,
                "seconds": round(time.perf_counter() - begin, 3),
            }
            self.record["results"][place:] = [result]

    def _train(
        self, network: Network, label: str, seed: int, on_epoch: Callable
    ) -> tuple[list[float], bool]:
        """Test accuracy after each epoch, and whether training stayed finite."""
        settings = self.settings
        accuracy: list[float] = []
        for epoch in range(settings.epochs):
            order = np.random.default_rng((seed, epoch)).permutation(len(self._images))
            noisy = self._noisy[seed]
            network.train(self._images, noisy, order, settings.batch_size)
            correct, finite = self._test(network)
            if not finite:  # weights that are NaN stay NaN
                accuracy += [0.0] * (settings.epochs - epoch)
                on_epoch(label, seed, accuracy)
                return accuracy, False
            accuracy.append(correct)
            on_epoch(label, seed, accuracy)
        return accuracy, True

    def _test(self, network: Network) -> tuple[float, bool]:
        """Accuracy on the clean test set, and whether any logits are finite."""
        images, labels = self._task.test
        logits = network.predict(images)
        finite = np.isfinite(logits).all(axis=-1)
        correct = finite & (np.argmax(logits, axis=-1) == labels)
        return round(float(correct.mean()), 6), bool(finite.any())

    def _optimizer(self) -> Any:
        settings = self.settings
        optimizer = pick("compare", "optimizer", settings.optimizer, _optimizers())
        options = {}
        if settings.learning_rate is not None:
            options["learning_rate"] = settings.learning_rate
        momentum = settings.momentum
        if momentum is None and settings.optimizer == "sgd":
            momentum = 0.9
        if momentum is not None:
            if "momentum" not in inspect.signature(optimizer.__init__).parameters:
                constraint, hint = "left out", f"{settings.optimizer} has none."
                raise ParameterError("compare", "momentum", momentum, constraint, hint)
            options["momentum"] = momentum
        return optimizer(**options)

    def _describe(self, matrix: np.ndarray) -> dict[str, Any]:
        settings = self.settings
        optimizer = self._optimizer().get_config()
        clean = self._task.labels
        rates = [data.noise.realized_rate(clean, noisy) for noisy in self._noisy]
        return {
            "dataset": settings.dataset,
            "noise": settings.noise,
            "noise_kind": settings.noise.partition(":")[0].strip(),
            "noise_matrix": matrix.tolist(),
            "realized_noise_rate": round(float(np.mean(rates)), 6),
            "realized_noise_rate_by_seed": [round(rate, 6) for rate in rates],
            "model": settings.model,
            "epochs": settings.epochs,
            "train_size": len(self._images),
            "test_size": len(self._task.test[1]),
            "batch_size": settings.batch_size,
            "optimizer": settings.optimizer,
            "learning_rate": float(f"{optimizer['learning_rate']:.6g}"),
            "momentum": optimizer.get("momentum"),
            "seeds": list(range(settings.seeds)),
            "versions": provenance.versions(),
            "hardware": provenance.hardware(),
            "left_out": self.left_out,
            "interrupted": False,
            "results": [],
        }


def write(record: dict[str, Any], path: str) -> None:
    """Writes a record as JSON: a reader sees the old file or the new one, whole.

    Args:
        record: Result of `Comparison.run`.
        path: Path of the file; an existing one is replaced.
    """
    text = json.dumps(record, indent=1, allow_nan=False)
    files.write(path, f"{text}\n".encode())


def _mean_and_sd(values: Sequence[float]) -> dict[str, float]:
    """Mean and sample standard deviation, 0 for a single value."""
    sd = np.std(values, ddof=1) if len(values) > 1 else 0.0
    return {"mean": round(float(np.mean(values)), 6), "sd": round(float(sd), 6)}


def _optimizers() -> dict[str, Any]:
    """Optimizer classes of Keras by their names in lower case."""
    base = keras.optimizers.Optimizer
    classes = [c for c in vars(keras.optimizers).values() if isinstance(c, type)]
    wrappers = (base, keras.optimizers.LossScaleOptimizer)
    return {
        one.__name__.lower(): one
        for one in classes
        if issubclass(one, base) and one not in wrappers
    }
