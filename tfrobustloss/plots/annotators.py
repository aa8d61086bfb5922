"""Annotator section of the audit page."""

import numpy as np

from tfrobustloss._core.validation import ParameterError
from tfrobustloss.plots import markup

_MOST_ANNOTATORS = 200
_MOST_MATRICES = 20
_MOST_CLASSES = 12  # of a matrix an annotator
_MOST_CONFUSED = 3


def annotators_section(annotators, class_names):
    """A table of annotators, the doubtful ones first, and their confusion matrices.

    Args:
        annotators: Sequence of `data.AnnotatorReport`.
        class_names: Names of the classes.

    Returns:
        HTML; "" without annotators.

    Raises:
        ValueError: An annotator has another number of classes.
    """
    for one in annotators:
        if len(one.confusion) != len(class_names):
            constraint = f"of {len(class_names)} classes"
            shape = one.confusion.shape
            name = "annotators[i].confusion.shape"
            raise ParameterError("audit_page", name, shape, constraint)
    if not annotators:
        return ""
    ordered = sorted(annotators, key=lambda one: (not one.at_odds, one.accuracy))
    shown = ordered[:_MOST_ANNOTATORS]
    heads = (
        "Annotator",
        "At odds",
        "Labels",
        "Shared",
        "Agrees with the others",
        "These among themselves",
        "Right",
        "Mostly confuses",
    )
    columns = "".join(f'<th scope="col">{head}</th>' for head in heads)
    part = ""
    if len(shown) < len(ordered):
        part = f" {len(shown)} of {len(ordered)} annotators are shown."
    caption = (
        "Shared: labels of examples that others labelled too. Agreement: share of the "
        "others' labels that are the same. Right: probability that a label is right, "
        "by the consensus of all annotators (Dawid and Skene), which also tells what "
        f"an annotator confuses, in % of the examples of the class.{part}"
    )
    rows = "".join(_row(one, class_names) for one in shown)
    table = (
        f'<div class="scroll"><table class="sortable"><caption>{caption}</caption>\n'
        f"<thead><tr>{columns}</tr></thead>\n<tbody>\n{rows}</tbody></table></div>\n"
    )
    content = _introduction(ordered) + table + _matrices(shown, class_names)
    return markup.section("Annotators", content, "annotators")


def _introduction(annotators):
    labels = sum(one.num_labels for one in annotators)
    odd = sum(one.at_odds for one in annotators)
    verb = "agrees" if odd == 1 else "agree"
    return (
        f"<p>{len(annotators):,} annotators gave {labels:,} labels. {odd:,} of them "
        f"{verb} with the others less than these among themselves, by more than two "
        "standard errors: about one in forty does so by chance.</p>\n"
    )


def _row(one, names):
    confused = ", ".join(
        f"{markup.name(names[clean])} as {markup.name(names[given])} "
        f"{markup.percent(share)} %"
        for clean, given, share in _confused(one)
    )
    odds = '<td class="odds">at odds</td>' if one.at_odds else "<td></td>"
    return (
        f'<tr><th scope="row">{markup.name(one.annotator)}</th>{odds}'
        f'<td class="number">{one.num_labels:,}</td>'
        f'<td class="number">{one.num_shared:,}</td>'
        f"{_share(one.agreement)}{_share(one.expected)}{_share(one.accuracy)}"
        f"<td>{confused}</td></tr>\n"
    )


def _share(share):
    text = "-" if share is None else f"{markup.percent(share)} %"
    return f'<td class="number">{text}</td>'


def _confused(one):
    """The most frequent wrong labels: triples of class, label and share of the class.

    A wrong label that is expected less than once, or in less than a twentieth of the
    examples of the class, is none to speak of.
    """
    expected = one.confusion * one.class_counts[:, np.newaxis]
    expected = np.where(one.confusion >= 0.05, expected, 0)
    np.fill_diagonal(expected, 0)
    order = np.argsort(-expected, axis=None, kind="stable")[:_MOST_CONFUSED]
    for clean, given in (divmod(int(cell), len(expected)) for cell in order):
        if expected[clean, given] >= 1:
            yield clean, given, one.confusion[clean, given]


def _matrices(annotators, names):
    if len(names) > _MOST_CLASSES:
        return ""
    parts = []
    caption = (
        "Share in % of the examples of a class (row) to which the annotator gives a "
        "label (column), by the consensus. Classes of which there is no example among "
        "the annotator's are left out."
    )
    for one in annotators[:_MOST_MATRICES]:
        rows = np.flatnonzero(one.class_counts >= 0.5).tolist()
        table = markup.matrix(one.confusion, names, caption, rows)
        summary = f"<summary>What {markup.name(one.annotator)} confuses</summary>"
        parts.append(f"<details>{summary}\n{table}</details>\n")
    return "".join(parts)
