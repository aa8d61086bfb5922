"""One small network per loss and seed, trained on wrong labels and tested on clean.

Every loss sees the same: at a given seed the same initial weights, the same noisy
labels and the same order of batches, and all share one setting. No loss has its
learning rate tuned for it; losses whose gradients are of another scale than
cross-entropy's would do better or worse with another one.
"""

import dataclasses
import inspect
import json
import time

import keras
import numpy as np
from keras import ops

from tfrobustloss import architectures, data
from tfrobustloss._core import files, provenance
from tfrobustloss._core.validation import ParameterError, Range, check
from tfrobustloss.experiments.specs import named_losses, noise_matrix
from tfrobustloss.experiments.task_data import scaled

__all__ = ["Comparison", "Settings", "write"]

_LIMITS = {
    "epochs": Range(low=1, integer=True),
    "batch_size": Range(low=1, integer=True),
    "learning_rate": Range(low=0, open_low=True, optional=True),
    "momentum": Range(0, 1, open_high=True, optional=True),
    "seeds": Range(low=1, integer=True),
    "train_size": Range(low=1, integer=True, optional=True),
}
_TEST_BATCH = 1000


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


class Comparison:
    """A comparison of losses, checked and loaded, ready to run.

    Args:
        settings: `Settings`.

    Attributes:
        settings: As given.
        losses: List of `NamedLoss`, in the order given.
        left_out: Dict of the losses left out, with the reasons.
        record: Dict of what was run and, in `results`, of what came out so far.

    Raises:
        ValueError: A setting is outside its range or names what does not exist.
        ImportError: The dataset needs a package that is not installed.

    Example:
        >>> comparison = Comparison(Settings(losses="adma", epochs=1, seeds=1))
        >>> record = comparison.run()
        >>> [(one["loss"], len(one["accuracy"])) for one in record["results"]]
        [('adma', 1)]
    """

    def __init__(self, settings):
        check("compare", _LIMITS, **vars(settings))
        self.settings = settings
        self._architecture = _pick("model", settings.model, _architectures())
        self._optimizer()  # an error now, not after the data
        train, test = (
            data.load(settings.dataset, split, settings.data_dir)
            for split in ("train", "test")
        )
        self._matrix = noise_matrix(settings.noise, settings.dataset, train.num_classes)
        self.losses, self.left_out = named_losses(settings.losses, self._matrix)
        chosen = _choose(len(train.labels), settings.train_size)
        clean = train.labels[chosen]
        self._images = scaled(train.images[chosen])
        self._noisy = [
            data.noise.corrupt(clean, self._matrix, seed).astype("int32")
            for seed in range(settings.seeds)
        ]
        self._test = scaled(test.images), test.labels
        rates = [data.noise.realized_rate(clean, noisy) for noisy in self._noisy]
        self.record = self._describe(rates)

    def run(self, on_epoch=None, on_result=None):
        """Trains every loss with every seed; Ctrl-C ends it early and keeps the rest.

        Args:
            on_epoch: Called after each epoch with `label, seed, accuracy`; accuracy
                is that of each epoch so far.
            on_result: Called with the entry of `results` of each loss that is done.

        Returns:
            The record: `results` holds every loss that finished at least one seed,
            and `interrupted` tells whether something is missing.
        """
        on_epoch = on_epoch or (lambda label, seed, accuracy: None)
        on_result = on_result or (lambda result: None)
        try:
            model = self._model(seed=0)
            starts = [self._model(seed).get_weights() for seed in self.record["seeds"]]
            for one in self.losses:
                self._run_loss(one, model, starts, on_epoch)
                on_result(self.record["results"][-1])
        except KeyboardInterrupt:
            self.record["interrupted"] = True
        return self.record

    def _run_loss(self, one, model, starts, on_epoch):
        """Trains one loss; each seed that is done is in the record at once."""
        begin, place = time.perf_counter(), len(self.record["results"])
        # XLA on a CPU costs seconds a loss to compile and gains nothing here
        jit = False if keras.backend.backend() == "tensorflow" else "auto"
        model.compile(self._optimizer(), one.loss, jit_compile=jit)
        model.optimizer.build(model.trainable_variables)
        state = model.optimizer.variables
        # as arrays: JAX gives the buffer of a tensor that is assigned to the next step
        at_rest = [ops.convert_to_numpy(variable).copy() for variable in state]
        runs, diverged = [], []
        for seed, start in enumerate(starts):
            model.set_weights(start)
            for variable, value in zip(state, at_rest, strict=True):
                variable.assign(value)
            accuracy, finite = self._train(model, one.label, seed, on_epoch)
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

    def _train(self, model, label, seed, on_epoch):
        """Test accuracy after each epoch, and whether training stayed finite.

        `train_on_batch` is the step of `fit` without the work `fit` does an epoch,
        which takes longer than the training of a set as small as the digits.
        """
        settings, accuracy = self.settings, []
        for epoch in range(settings.epochs):
            order = np.random.default_rng((seed, epoch)).permutation(len(self._images))
            for begin in range(0, len(order), settings.batch_size):
                batch = order[begin : begin + settings.batch_size]
                model.train_on_batch(self._images[batch], self._noisy[seed][batch])
            correct, finite = self._test_model(model)
            if not finite:  # such weights never come back
                accuracy += [0.0] * (settings.epochs - epoch)
                on_epoch(label, seed, accuracy)
                return accuracy, False
            accuracy.append(correct)
            on_epoch(label, seed, accuracy)
        return accuracy, True

    def _test_model(self, model):
        """Accuracy on the clean test set, and whether any logits are finite."""
        images, labels = self._test
        logits = np.concatenate(
            [
                model.predict_on_batch(images[begin : begin + _TEST_BATCH])
                for begin in range(0, len(images), _TEST_BATCH)
            ]
        )
        finite = np.isfinite(logits).all(axis=-1)
        correct = finite & (np.argmax(logits, axis=-1) == labels)
        return round(float(correct.mean()), 6), bool(finite.any())

    def _model(self, seed):
        shape = self._images.shape[1:]
        return self._architecture(shape, len(self._matrix), seed=seed)

    def _optimizer(self):
        settings = self.settings
        optimizer = _pick("optimizer", settings.optimizer, _optimizers())
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

    def _describe(self, rates):
        settings = self.settings
        optimizer = self._optimizer().get_config()
        return {
            "dataset": settings.dataset,
            "noise": settings.noise,
            "noise_kind": settings.noise.partition(":")[0].strip(),
            "noise_matrix": self._matrix.tolist(),
            "realized_noise_rate": round(float(np.mean(rates)), 6),
            "realized_noise_rate_by_seed": [round(rate, 6) for rate in rates],
            "model": settings.model,
            "epochs": settings.epochs,
            "train_size": len(self._images),
            "test_size": len(self._test[1]),
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


def write(record, path):
    """Writes a record as JSON: a reader sees the old file or the new one, whole.

    Args:
        record: What `Comparison.run` returns.
        path: Path of the file; one that is there is replaced.
    """
    text = json.dumps(record, indent=1, allow_nan=False)
    files.write(path, f"{text}\n".encode())


def _choose(num_examples, train_size):
    """Indices of `train_size` examples, the same ones for every seed and loss."""
    if train_size is None:
        return slice(None)
    check(
        "compare",
        {"train_size": Range(1, num_examples, integer=True)},
        train_size=train_size,
    )
    shuffled = np.random.default_rng(0).permutation(num_examples)
    return np.sort(shuffled[:train_size])


def _mean_and_sd(values):
    """Mean and sample standard deviation, 0 for a single value."""
    sd = np.std(values, ddof=1) if len(values) > 1 else 0.0
    return {"mean": round(float(np.mean(values)), 6), "sd": round(float(sd), 6)}


def _pick(option, name, known):
    if name not in known:
        constraint = f"one of {', '.join(known)}"
        raise ParameterError("compare", option, name, constraint)
    return known[name]


def _architectures():
    return {name: getattr(architectures, name) for name in architectures.__all__}


def _optimizers():
    base = keras.optimizers.Optimizer
    classes = [c for c in vars(keras.optimizers).values() if isinstance(c, type)]
    wrappers = (base, keras.optimizers.LossScaleOptimizer)
    return {
        one.__name__.lower(): one
        for one in classes
        if issubclass(one, base) and one not in wrappers
    }
