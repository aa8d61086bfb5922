"""Texts that `tfrobustloss estimate` prints."""

import argparse
from typing import Any

import numpy as np

from tfrobustloss import data
from tfrobustloss.cli import cross_validation
from tfrobustloss.cli.estimate_data import Given

_WIDEST = 12  # classes whose whole matrix fits on a line


def introduction(given: Given, arguments: argparse.Namespace) -> str:
    """The labels, and where their probabilities come from."""
    lines = [f"{given.name}: {len(given.labels)} labels"]
    if given.clean is not None:
        lines[0] += f", made wrong by {arguments.noise}"
    if given.probabilities is None:
        lines.append(cross_validation.description(arguments))
    return "\n".join([*lines, ""])


def text(report: Any, given: Given) -> str:
    """The report, next to the truth where that is known."""
    rate = report.noise_rate
    found = 100 * np.array([rate.rate, rate.low, rate.high])
    lines = [
        f"Wrong labels: {found[0]:.1f} %, {100 * rate.confidence:g} % interval "
        f"{found[1]:.1f} to {found[2]:.1f} %" + _true_rate(given),
        *_matrix(report.transition_matrix, given),
        *_pairs(report, given),
        f"{len(report.wrong_labels.indices)} labels are more likely wrong than right"
        + _true_flags(report, given),
        "",
        "Losses that suit:",
    ]
    for one in report.recommendations:
        settings = ", ".join(f"{key}={value}" for key, value in one["settings"].items())
        lines.append(f"  {one['loss']}({settings})")
        lines.append(f"    {one['reason']}")
    lines += [f"Note: {one}" for one in report.warnings]
    return "\n".join(lines)


def _true_rate(given: Given) -> str:
    if given.clean is None:
        return ""
    true = data.noise.realized_rate(given.clean, given.labels)
    return f" (truth: {100 * true:.1f} %)"


def _matrix(matrix: np.ndarray, given: Given) -> list[str]:
    title = "Transition matrix in %, a row a class, a column a label"
    true = None
    if given.clean is not None:
        true = data.noise.realized_matrix(given.clean, given.labels, len(matrix))
        error = 100 * np.abs(matrix - true).mean()
        title += f" (mean error {error:.2f} points)"
    lines = ["", f"{title}:"]
    if len(matrix) > _WIDEST:
        right = 100 * np.diag(matrix)
        low, high = right.min(), right.max()
        lines.append(f"  {len(matrix)} classes, diagonal {low:.0f} to {high:.0f}")
        return [*lines, ""]
    lines += [_row(row) for row in matrix]
    if true is not None:
        lines += ["Truth:", *(_row(row) for row in true)]
    return [*lines, ""]


def _row(values: np.ndarray) -> str:
    return "  " + " ".join(f"{100 * value:5.1f}" for value in values)


def _pairs(report: Any, given: Given) -> list[str]:
    if not report.confused_pairs:
        return []
    names = given.class_names or tuple(map(str, range(len(report.transition_matrix))))
    lines = ["Most confused:"]
    for one in report.confused_pairs:
        own, share = 100 * one.probability, 100 * one.share
        lines.append(
            f"  {names[one.clean]} labelled {names[one.noisy]}: {own:.1f} % of its "
            f"class, {share:.1f} % of all"
        )
    return [*lines, ""]


def _true_flags(report: Any, given: Given) -> str:
    if given.clean is None:
        return ""
    flagged = report.wrong_labels.indices
    wrong = given.clean != given.labels
    hits = int(wrong[flagged].sum())
    precision = 100 * hits / max(1, len(flagged))
    recall = 100 * hits / max(1, int(wrong.sum()))
    return f" (truth: {precision:.1f} % of them are, {recall:.1f} % of all wrong found)"
