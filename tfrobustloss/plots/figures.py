"""Figures of comparisons, searches and noise; Matplotlib is imported lazily."""

import io
import os

import numpy as np
from keras import ops

from tfrobustloss import losses
from tfrobustloss._core.validation import ParameterError


def check_format(path):
    """Raises if Matplotlib cannot write the format of a file name.

    Args:
        path: Path of the picture; its ending is its format.

    Raises:
        ValueError: Matplotlib has no such format.
        ImportError: Matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
    except ImportError as error:
        text = (
            "plots: pictures need matplotlib, which is missing. Install it with "
            '`pip install "tfrobustloss[cli]"`.'
        )
        raise ImportError(text) from error
    formats = FigureCanvasAgg.filetypes
    if _ending(path) not in formats:
        constraint = f"a file that ends in one of .{', .'.join(sorted(formats))}"
        raise ParameterError("plots", "path", path, constraint)


def accuracy_curves(record, path="accuracy.png"):
    """Accuracy per epoch: one line per loss, shaded by its sd.

    It is that on the clean test set; for data without one, the estimate from noisy
    validation labels.

    Args:
        record: Result of `Comparison.run`.
        path: Path whose ending gives the format; nothing is written to it.

    Returns:
        The picture's bytes.

    Raises:
        ValueError: Matplotlib has no such format.
        ImportError: Matplotlib is not installed.
    """
    check_format(path)
    from matplotlib import ticker
    from matplotlib.figure import Figure

    has_test = record.get("test_size", 1) > 0
    values = "accuracy" if has_test else "estimates"
    results = sorted(record["results"], key=lambda one: -_last_mean(one[values]))
    figure = Figure(figsize=(9, 5.5), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    for index, one in enumerate(results):
        accuracy = 100 * np.asarray(one[values])
        mean = accuracy.mean(axis=0)
        sd = accuracy.std(axis=0, ddof=1) if len(accuracy) > 1 else 0 * mean
        epochs = np.arange(1, len(mean) + 1)
        style = {
            "color": f"C{index % 10}",
            "linestyle": ("-", "--", ":")[index // 10 % 3],
            "marker": "o" if len(mean) == 1 else None,
        }
        axes.plot(epochs, mean, label=f"{one['loss']}  {mean[-1]:.1f}", **style)
        axes.fill_between(
            epochs, mean - sd, mean + sd, color=style["color"], alpha=0.15, lw=0
        )
    axes.set_xlabel("epoch")
    where = "on the clean test set" if has_test else "estimated from noisy labels"
    axes.set_ylabel(f"accuracy {where}, %")
    axes.set_title(_title(record))
    axes.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right upper", title="loss, last epoch", frameon=False)
    picture = io.BytesIO()
    figure.savefig(picture, format=_ending(path))
    return picture.getvalue()


def _last_mean(runs):
    return float(np.mean([run[-1] for run in runs]))


def search_progress(history, theta, num_classes, path="search.png"):
    """Progress of a search, and the loss that it found next to hand-made ones.

    Left, accuracy on the clean validation data per generation. Right, loss as a
    function of the probability of the label, where the other classes share the rest
    equally; each loss minus its value at probability 1.

    Args:
        history: Result of `TaylorLossSearch.history`.
        theta: Parameters of the `TaylorLoss` that was found.
        num_classes: Int >= 2.
        path: Path whose ending gives the format; nothing is written to it.

    Returns:
        The picture's bytes.

    Raises:
        ValueError: Matplotlib has no such format.
        ImportError: Matplotlib is not installed.
    """
    check_format(path)
    from matplotlib import ticker
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), dpi=120, layout="constrained")
    left, right = figure.subplots(1, 2)
    generations = [one["generation"] for one in history]
    for index, name in enumerate(("best", "median", "mean")):
        values = [np.nan if one[name] is None else 100 * one[name] for one in history]
        marker = "o" if len(values) == 1 else None
        left.plot(generations, values, label=name, color=f"C{index}", marker=marker)
    left.set_xlabel("generation")
    left.set_ylabel("accuracy on clean validation data, %")
    left.set_title("Candidates of a generation")
    left.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
    left.legend(frameon=False)
    p, curves = _curves(theta, num_classes)
    for index, (name, values) in enumerate(curves.items()):
        style = {"linewidth": 2.5} if index == 0 else {"linestyle": "--"}
        right.plot(p, values, label=name, color=f"C{index}", **style)
    shown = [values for name, values in curves.items() if name != "cross-entropy"]
    low, high = np.min(shown), np.max(shown)
    right.set_ylim(low - 0.05 * (high - low), high + 0.3 * (high - low))
    right.set_xlabel("probability of the label")
    right.set_ylabel("loss, minus its value at probability 1")
    right.set_title("The loss that was found, and others")
    right.legend(frameon=False)
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    picture = io.BytesIO()
    figure.savefig(picture, format=_ending(path))
    return picture.getvalue()


def transition_matrix(matrix, class_names=None, path="matrix.png"):
    """A heat map of a transition matrix, in percent.

    Args:
        matrix: Row-stochastic, shape `(classes, classes)`: row = the clean class,
            column = the label.
        class_names: Strings, one a class; class ids by default.
        path: Path whose ending gives the format; nothing is written to it.

    Returns:
        The picture's bytes.

    Raises:
        ValueError: Matplotlib has no such format, or the number of names is not that
            of the classes.
        ImportError: Matplotlib is not installed.
    """
    check_format(path)
    from matplotlib.figure import Figure

    matrix = 100 * np.asarray(matrix)
    classes = len(matrix)
    names = list(map(str, range(classes) if class_names is None else class_names))
    if len(names) != classes:
        constraint = f"{classes} names, one a class"
        raise ParameterError("plots", "class_names", names, constraint)
    side = float(np.clip(0.55 * classes + 1.5, 4.5, 12))
    figure = Figure(figsize=(side + 0.7, side), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(matrix, cmap="Blues", vmin=0, vmax=100)
    figure.colorbar(image, ax=axes, shrink=0.8, label="% of the class")
    shown = range(0, classes, -(-classes // 25))
    upright = max(map(len, names)) <= 3
    axes.set_xticks(shown, [names[i] for i in shown], rotation=0 if upright else 90)
    axes.set_yticks(shown, [names[i] for i in shown])
    if classes <= 25:
        for row, column in np.ndindex(*matrix.shape):
            value = matrix[row, column]
            text = "<1" if 0 < value < 0.5 else f"{value:.0f}"
            color = "white" if value > 55 else "0.25"
            axes.text(column, row, text, ha="center", va="center", color=color)
    axes.set_xlabel("label")
    axes.set_ylabel("class")
    axes.set_title("Transition matrix, %")
    picture = io.BytesIO()
    figure.savefig(picture, format=_ending(path))
    return picture.getvalue()


def _curves(theta, num_classes):
    """Losses by name, each 0 at the last of the probabilities."""
    chosen = {
        "found": losses.TaylorLoss(theta),
        "cross-entropy": losses.CrossEntropy(),
        "MAE": losses.MeanAbsoluteError(),
        "GCE, q=0.7": losses.GeneralizedCrossEntropy(0.7),
    }
    p = np.linspace(0.002, 1, 400)
    others = np.repeat((1 - p)[:, None] / (num_classes - 1), num_classes - 1, axis=1)
    rows = np.column_stack([p, others]).astype("float32")
    curves = {}
    for name, loss in chosen.items():
        labels = np.zeros(len(p), "int32")
        values = ops.convert_to_numpy(loss.call(labels, ops.convert_to_tensor(rows)))
        curves[name] = values - values[-1]
    return p, curves


def _title(record):
    if record.get("own_data") is not None:
        name = os.path.basename(os.path.normpath(record["own_data"]["source"]))
        return f"{name}, {record['model']}"
    wrong = 100 * record["realized_noise_rate"]
    return (
        f"{record['dataset']}, {record['noise']} ({wrong:.0f} % of labels wrong), "
        f"{record['model']}"
    )


def _ending(path):
    return os.path.splitext(path)[1].lower().removeprefix(".")
