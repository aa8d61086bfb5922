"""Comparison of losses: one small network per loss and seed, trained on wrong labels.

At a given seed every loss gets the same initial weights, the same noisy labels and the
same order of batches. Each loss has its own learning rate, and each training its own
epoch, both chosen by accuracy on validation labels that are as wrong as the others; a
clean test set, where there is one, is looked at for the table alone.
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
from tfrobustloss._core import files, noisy_accuracy, provenance
from tfrobustloss._core.validation import (
    ParameterError,
    ParameterTypeError,
    Range,
    check,
)
from tfrobustloss.experiments import selection
from tfrobustloss.experiments.noise_estimate import estimate_noise
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
    "validation_share": Range(0, 1, open_high=True),
}
_RATE = {"learning_rates": Range(low=0, open_low=True)}
_RATE_STEPS = (0.3, 1.0, 3.0)  # times the optimizer's own in Keras
BASELINE = "cross_entropy"


@dataclasses.dataclass(frozen=True)
class Settings:
    """The setting under which every loss of a comparison is trained.

    Attributes:
        dataset: `"digits"`, the name of a TFDS image classification set, or your own
            data, `LabelledData` of `tfrobustloss.data.read`.
        data_dir: Folder of prepared TFDS data, or None for the default of TFDS.
        noise: `none`, `symmetric:R`, `pair:R` or `asymmetric:R`, R in [0, 1]; `none`
            for your own data.
        losses: Comma-separated `name` or `name:key=value:key=value`, or `all`.
        model: Name of a function of `tfrobustloss.architectures`.
        epochs: Int >= 1.
        batch_size: Int >= 1.
        optimizer: Name of a Keras optimizer, in lower case.
        learning_rate: Float > 0 for all losses, or None for the best of
            `learning_rates`.
        learning_rates: Sequence of floats > 0, of which each loss gets the best by
            noisy validation accuracy with seed 0; None for .3, 1 and 3 times the
            optimizer's own in Keras. Without validation, that one alone.
        momentum: Float in [0, 1), or None for 0.9 with SGD and the optimizer's own
            otherwise.
        seeds: Int >= 1; the seeds are 0, 1, ... seeds - 1.
        train_size: Number of training examples, validation included; None for all.
        validation_share: Float in [0, 1), share of the training examples, with labels
            as wrong as the others, that is held out to choose learning rates and
            epochs; 0 for no such choice.
        matrix: Transition matrix by which noisy validation accuracy is corrected, which
            also `forward_correction` gets; `"estimated"` to estimate it by
            cross-validation; `"none"` for plain accuracy. None is `"estimated"` for
            your own data; for a dataset with added noise it is `"none"`, and
            `forward_correction` gets the true matrix.
    """

    dataset: Any = "digits"
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
    learning_rates: Sequence[float] | None = None
    momentum: float | None = None
    seeds: int = 3
    train_size: int | None = None
    validation_share: float = 0.2
    matrix: Any = None

    @property
    def is_own(self) -> bool:
        """Whether the labels are a user's own, wrong as they are."""
        return isinstance(self.dataset, data.LabelledData)

    def task(self) -> Task:
        """The data and the network, with nothing set aside for validation yet."""
        return Task(
            dataset=self.dataset,
            architecture=self.model,
            noise=self.noise,
            train_size=self.train_size,
            validation_size=0,
            data_dir=self.data_dir,
        )


class Comparison:
    """Trains several losses under one setting and judges them without clean labels.

    The constructor checks the settings, loads the data and, where it is to, estimates
    the transition matrix. Cross-entropy, the baseline, is always among the losses where
    there is noisy validation.

    Args:
        settings: `Settings`.
        on_fold: Called with `fold, epoch, accuracy` during the estimate of the matrix.

    Attributes:
        settings: As given.
        losses: List of `NamedLoss`, in the order given.
        left_out: Dict of the losses left out, with the reasons.
        rates: List of the learning rates that each loss is trained with.
        record: Dict of the settings and the data, and of the `results` so far.

    Raises:
        ValueError: A setting is outside its range or names something unknown.
        ImportError: The dataset needs a package that is not installed.

    Example:
        >>> settings = Settings(losses="adma", epochs=1, seeds=1, learning_rate=0.001)
        >>> record = Comparison(settings).run()
        >>> [(one["loss"], len(one["accuracy"])) for one in record["results"]]
        [('cross_entropy', 1), ('adma', 1)]
    """

    def __init__(
        self,
        settings: Settings,
        on_fold: Callable[[int, int, float], Any] | None = None,
    ) -> None:
        numbers = {name: getattr(settings, name) for name in _LIMITS}
        check("compare", _LIMITS, **numbers)
        architecture("compare", "model", settings.model)
        self.settings = settings
        self._optimizer()  # fails before the data are loaded, not after
        self.rates = self._rates()
        self._task = prepare(settings.task())
        if self._task.test is None and not settings.validation_share:
            constraint = "above 0 for data without a test set"
            raise ParameterError("compare", "validation_share", 0, constraint)
        self._inputs, columns = self._task.train(range(settings.seeds))
        self._noisy = [
            np.ascontiguousarray(columns[:, self._task.draw(seed)])
            for seed in range(settings.seeds)
        ]
        self._parts = [self._split(noisy, s) for s, noisy in enumerate(self._noisy)]
        self.report: Any = None  # of the estimate of the matrix
        matrix, self._worth, notes = self._judge(on_fold)
        text = settings.losses
        if settings.validation_share:
            text = f"{BASELINE},{text}"
        source = "estimate" if settings.is_own or self.report else "true noise"
        counts = np.bincount(columns.ravel(), minlength=len(matrix)) // columns.shape[1]
        self.losses, self.left_out = named_losses(text, matrix, source, counts)
        self.record = self._describe(matrix, notes)
        self.worths: dict[str, selection.Worth] = {}

    def run(
        self,
        on_epoch: Callable[[str, int, list[float]], Any] | None = None,
        on_result: Callable[[dict], Any] | None = None,
    ) -> dict[str, Any]:
        """Trains every loss with every seed; Ctrl-C stops and keeps the results so far.

        Args:
            on_epoch: Called after each epoch with `label, seed, accuracy`; accuracy is
                a list with that of each epoch so far, on the test set where there is
                one, else as estimated.
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
                self._compare()
                on_result(self.record["results"][-1])
        except KeyboardInterrupt:
            self.record["interrupted"] = True
        self._compare()
        return self.record

    def _run_loss(self, one: NamedLoss, network: Network, on_epoch: Callable) -> None:
        """Trains one loss; each seed is recorded as soon as it is done."""
        begin, place = time.perf_counter(), len(self.record["results"])
        network.compile(self._optimizer(), one.loss)
        tried = []
        for rate in self.rates:
            network.learning_rate = rate
            tried.append(self._train(network, one.label, 0, on_epoch))
        scores = [run.best_estimate for run in tried]
        chosen = int(np.argmax(scores))
        network.learning_rate = self.rates[chosen]
        self.worths[one.label] = worth = selection.Worth(len(self._inputs))
        runs: list[_Run] = []
        for seed in self.record["seeds"]:
            again = seed == 0  # it was trained above
            run = tried[chosen] if again else None
            runs.append(run or self._train(network, one.label, seed, on_epoch))
            if self.settings.validation_share:
                fitted = selection.cross_fitted(runs[-1].worth, seed)
                worth.add(self._parts[seed][1], fitted)
            result = {
                "loss": one.label,
                "name": one.name,
                "parameters": one.parameters,
                "filled_in": one.filled_in,
                "learning_rate": self.rates[chosen],
                "learning_rates_tried": [
                    {"learning_rate": rate, "estimate": round(score, 6)}
                    for rate, score in zip(self.rates, scores, strict=True)
                ],
                **self._measured(runs),
                "diverged": [i for i, run in enumerate(runs) if not run.finite],
                "seconds": round(time.perf_counter() - begin, 3),
                "seconds_by_seed": [round(run.seconds, 3) for run in runs],
            }
            self.record["results"][place:] = [result]

    def _measured(self, runs: "Sequence[_Run]") -> dict[str, Any]:
        """Record of the trainings of a loss, one per seed."""
        found: dict[str, Any] = {}
        if self._task.test is not None:
            found = {
                "accuracy": [run.accuracy for run in runs],
                "last": _mean_and_sd([run.accuracy[-1] for run in runs]),
                "best": _mean_and_sd([max(run.accuracy) for run in runs]),
            }
        if self.settings.validation_share:
            found["estimates"] = [run.estimates for run in runs]
            epochs = [selection.best_epoch(run.worth) for run in runs]
            found["stopped_epochs"] = [epoch + 1 for epoch in epochs]
            if self._task.test is not None:
                pairs = zip(runs, epochs, strict=True)
                found["stopped"] = _mean_and_sd([run.accuracy[e] for run, e in pairs])
        return found

    def _compare(self) -> None:
        """Enters the estimates and what cannot be told apart into the results."""
        if not self.settings.validation_share or not self.record["results"]:
            return
        done = {one["loss"]: one for one in self.record["results"]}
        verdicts = selection.compare_to_best(
            {label: self.worths[label] for label in done}, BASELINE
        )
        for label, result in done.items():
            estimate, error, count = self.worths[label].estimate()
            low, high = noisy_accuracy.interval(estimate, error, count, self._worth)
            result["estimated"] = {
                "accuracy": round(estimate, 6),
                "standard_error": round(error, 6),
                "low": round(low, 6),
                "high": round(high, 6),
            }
            result["against"] = verdicts[label].to_json()

    def _train(
        self, network: Network, label: str, seed: int, on_epoch: Callable
    ) -> "_Run":
        """One training from the initial weights of a seed."""
        settings, (kept, held_out) = self.settings, self._parts[seed]
        worst = 0.0 if self._worth is None else float(self._worth.min())
        noisy, run = self._noisy[seed], _Run(len(held_out), settings.epochs, worst)
        network.restart(seed)
        begin = time.perf_counter()
        for epoch in range(settings.epochs):
            order = np.random.default_rng((seed, epoch)).permutation(len(kept))
            network.train(self._inputs, noisy, kept[order], settings.batch_size)
            if self._task.test is not None:
                inputs, labels = self._task.test
                logits = network.predict(inputs)
                right = selection.classes(logits) == labels
                finite = _finite(logits)
                run.accuracy.append(round(float(right.mean()), 6))
            if len(held_out):
                logits = network.predict(self._inputs[held_out])
                finite = _finite(logits)
                run.worth[epoch] = selection.worth_of_logits(
                    noisy[held_out], logits, self._worth
                )
                run.estimates.append(round(float(run.worth[epoch].mean()), 6))
            if not finite:  # weights that are NaN stay NaN
                run.diverge(epoch)
                on_epoch(label, seed, run.accuracy or run.estimates)
                break
            on_epoch(label, seed, run.accuracy or run.estimates)
        run.seconds = time.perf_counter() - begin
        return run

    def _split(self, noisy: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Indices of the training and of the validation examples of a seed."""
        if not self.settings.validation_share:
            return np.arange(len(noisy)), np.arange(0)
        return data.split_validation(noisy, self.settings.validation_share, seed)

    def _judge(
        self, on_fold: Callable | None
    ) -> tuple[np.ndarray, np.ndarray | None, list[str]]:
        """The matrix that corrections get, the worth of pairs, and notes."""
        settings, given = self.settings, self.settings.matrix
        if given is None:
            given = "estimated" if settings.is_own else "none"
        true = self._task.transition_matrix
        if isinstance(given, str):
            if given not in ("estimated", "none"):
                constraint = "'estimated', 'none' or a transition matrix"
                raise ParameterError("compare", "matrix", given, constraint)
            if given == "none":
                return true, None, []
            if not settings.validation_share:
                constraint = "above 0 with a matrix, which corrects noisy validation"
                raise ParameterError("compare", "validation_share", 0, constraint)
            self.report = estimate_noise(
                self._inputs,
                self._noisy[0],
                self._task.num_classes,
                settings.model,
                on_epoch=on_fold,
            )
            given = self.report.transition_matrix
        matrix = np.asarray(given, "float64")
        try:
            worth = noisy_accuracy.values_of_pairs("compare", matrix)
        except ValueError as error:
            if self.report is None:
                raise
            return matrix, None, [f"Judged by plain noisy accuracy: {error}"]
        if len(matrix) != self._task.num_classes:
            constraint = f"of {self._task.num_classes} classes"
            raise ParameterError("compare", "matrix.shape", matrix.shape, constraint)
        return matrix, worth, []

    def _rates(self) -> list[float]:
        settings = self.settings
        if settings.learning_rate is not None:
            return [settings.learning_rate]
        own = float(f"{self._optimizer().get_config()['learning_rate']:.6g}")
        if not settings.validation_share:
            return [own]
        if settings.learning_rates is None:
            return [float(f"{own * step:.6g}") for step in _RATE_STEPS]
        rates = settings.learning_rates
        if isinstance(rates, str) or not isinstance(rates, Sequence) or not rates:
            constraint = "a list of numbers, one or more"
            raise ParameterTypeError("compare", "learning_rates", rates, constraint)
        for rate in rates:
            check("compare", _RATE, learning_rates=rate)
        return [float(rate) for rate in rates]

    def _optimizer(self) -> Any:
        settings = self.settings
        optimizer = pick("compare", "optimizer", settings.optimizer, optimizers())
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

    def _describe(self, matrix: np.ndarray, notes: list[str]) -> dict[str, Any]:
        settings, test = self.settings, self._task.test
        optimizer = self._optimizer().get_config()
        rates = []
        if not settings.is_own:
            clean = self._task.labels
            rates = [data.noise.realized_rate(clean, noisy) for noisy in self._noisy]
        return {
            "dataset": settings.dataset if not settings.is_own else None,
            "own_data": settings.dataset.description() if settings.is_own else None,
            "noise": settings.noise,
            "noise_kind": settings.noise.partition(":")[0].strip(),
            "noise_matrix": matrix.tolist(),
            "noise_matrix_is": "true" if self._is_true(matrix) else "estimated",
            "estimated_noise": (
                self.report and dataclasses.asdict(self.report.noise_rate)
            ),
            "judged_by": "plain" if self._worth is None else "corrected",
            "realized_noise_rate": round(float(np.mean(rates)), 6) if rates else None,
            "realized_noise_rate_by_seed": [round(rate, 6) for rate in rates],
            "model": settings.model,
            "epochs": settings.epochs,
            "train_size": len(self._parts[0][0]),
            "validation_size": len(self._parts[0][1]),
            "test_size": 0 if test is None else len(test[1]),
            "batch_size": settings.batch_size,
            "optimizer": settings.optimizer,
            "learning_rates": self.rates,
            "momentum": optimizer.get("momentum"),
            "seeds": list(range(settings.seeds)),
            "versions": provenance.versions(),
            "hardware": provenance.hardware(),
            "left_out": self.left_out,
            "notes": notes,
            "interrupted": False,
            "results": [],
        }

    def _is_true(self, matrix: np.ndarray) -> bool:
        given = self.settings.matrix
        is_none = given is None or (isinstance(given, str) and given == "none")
        return not self.settings.is_own and is_none


class _Run:
    """One training: accuracy on the test set and worth of predictions per epoch.

    Args:
        num_validation: Number of validation examples.
        epochs: Number of epochs.
        worst: The lowest worth of an example, which it has after a divergence: with a
            matrix 0 may be better than the estimate of a sound training.
    """

    def __init__(self, num_validation: int, epochs: int, worst: float = 0.0) -> None:
        self.accuracy: list[float] = []
        self.estimates: list[float] = []
        self.worth = np.full((epochs, num_validation), worst)
        self.finite = True
        self._worst = worst
        self.seconds = 0.0

    @property
    def best_estimate(self) -> float:
        """Smoothed validation accuracy of the best epoch; 0 without validation."""
        if not self.estimates:
            return 0.0
        window = selection.WINDOW
        return float(noisy_accuracy.smoothed(self.estimates, window).max())

    def diverge(self, epoch: int) -> None:
        """Counts an epoch and those that are left as the worst there can be."""
        self.finite = False
        self.worth[epoch:] = self._worst
        for known, worst in ((self.accuracy, 0.0), (self.estimates, self._worst)):
            if known:
                known[-1:] = [worst] * (len(self.worth) - epoch)


def _finite(logits: np.ndarray) -> bool:
    """Whether the logits of any example are finite."""
    return bool(np.isfinite(logits).all(axis=-1).any())


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


def optimizers() -> dict[str, Any]:
    """Optimizer classes of Keras by their names in lower case."""
    base = keras.optimizers.Optimizer
    classes = [c for c in vars(keras.optimizers).values() if isinstance(c, type)]
    wrappers = (base, keras.optimizers.LossScaleOptimizer)
    return {
        one.__name__.lower(): one
        for one in classes
        if issubclass(one, base) and one not in wrappers
    }
