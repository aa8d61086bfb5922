"""Pictures of what the package measures; matplotlib is imported when one is drawn."""

import io
import os

import numpy as np

from tfrobustloss import _limits


def check_format(path):
    """Raises if no picture can be drawn into a file of that name.

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
        raise ValueError(_limits.error("plots", "path", constraint, path))


def accuracy_curves(record, path="accuracy.png"):
    """Accuracy on the clean test set per epoch: a line a loss, shaded by its sd.

    Args:
        record: What `tfrobustloss.comparison.Comparison.run` returns.
        path: Path the picture is for; its ending is its format. Nothing is written.

    Returns:
        The picture's bytes.

    Raises:
        ValueError: Matplotlib has no such format.
        ImportError: Matplotlib is not installed.
    """
    check_format(path)
    from matplotlib import ticker
    from matplotlib.figure import Figure

    results = sorted(record["results"], key=lambda one: -one["last"]["mean"])
    figure = Figure(figsize=(9, 5.5), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    for index, one in enumerate(results):
        accuracy = 100 * np.asarray(one["accuracy"])
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
    axes.set_ylabel("accuracy on the clean test set, %")
    axes.set_title(_title(record))
    axes.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right upper", title="loss, last epoch", frameon=False)
    picture = io.BytesIO()
    figure.savefig(picture, format=_ending(path))
    return picture.getvalue()


def _title(record):
    wrong = 100 * record["realized_noise_rate"]
    return (
        f"{record['dataset']}, {record['noise']} ({wrong:.0f} % of labels wrong), "
        f"{record['model']}"
    )


def _ending(path):
    return os.path.splitext(path)[1].lower().removeprefix(".")
