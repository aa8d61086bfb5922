"""Recommended losses for an estimated noise, each with settings and a reason.

The figures are those of Table 2 of Wang et al., "epsilon-Softmax", NeurIPS 2024: test
accuracy of the last epoch on CIFAR-10 and CIFAR-100 with the same network for every
loss, mean of 3 runs. The thresholds between few, many and one-sided are judgement.
"""

import numpy as np

_FEW = 0.02  # share of wrong labels below which cross-entropy has no need of help
_MANY = 0.3
_MANY_CLASSES = 50
_CONCENTRATED = 0.4  # between 0, every other class alike, and 1, one other class
_ROWS_NEED = 200  # labels of a class below which its row of the matrix is a guess


def concentration(matrix, prior):
    """How concentrated wrong labels are on a few classes, from 0 to 1.

    Args:
        matrix: Transition matrix, shape `(classes, classes)`.
        prior: Shares of the clean classes, shape `(classes,)`.

    Returns:
        Float from 0, every other class alike, to 1, one other class each. 0 where
        there are two classes or nothing is wrong.
    """
    num_classes = len(matrix)
    wrong = matrix * (1 - np.eye(num_classes)) * prior[:, np.newaxis]
    total = wrong.sum()
    if num_classes == 2 or total <= 0:
        return 0.0
    even = wrong.sum(axis=1, keepdims=True) / (num_classes - 1)
    even = even * (1 - np.eye(num_classes))
    farthest = (num_classes - 2) / (num_classes - 1)
    return float(np.abs(wrong - even).sum() / (2 * total) / farthest)


def recommend(matrix, prior, rate, low, counts, doubts=(), class_names=None):
    """Losses for a kind and amount of noise, the best first.

    Args:
        matrix: Estimated transition matrix, shape `(classes, classes)`.
        prior: Estimated shares of the clean classes, shape `(classes,)`.
        rate: Estimated share of wrong labels.
        low: Lower end of its interval.
        counts: Number of labels of each class.
        doubts: Warnings that come before those of the matrix and the counts.
        class_names: Names for the warnings; None for the ids.

    Returns:
        List of dicts: `loss`, the name of a class of `tfrobustloss.losses`;
        `settings`, its arguments (a transition matrix is written `"estimated"`);
        `reason`. And a list of warnings, plain sentences.
    """
    num_classes, many_classes = len(matrix), len(matrix) >= _MANY_CLASSES
    warnings, chosen = [*doubts, *_warnings(matrix, counts, class_names)], []

    def add(loss, reason, **settings):
        chosen.append({"loss": loss, "settings": settings, "reason": reason})

    found = f"About {100 * rate:.0f} % of the labels look wrong"
    forward = (
        "it is the right loss for this noise if the matrix is right, and there are "
        "enough labels of each class to estimate it"
    )
    if rate < _FEW or low <= 0:
        add(
            "CrossEntropy",
            f"{found}, too few to tell from a network's own mistakes. Without wrong "
            "labels cross-entropy is as good as any: 90.5 % against 89.4 % of GCE and "
            "91.3 % of SCE on CIFAR-10.",
        )
        add("GeneralizedCrossEntropy", "If you want insurance, a mild one.", q=0.3)
        return chosen, warnings
    one_sided = concentration(matrix, prior) > _CONCENTRATED
    can_correct = not many_classes and not warnings
    if one_sided:
        if can_correct:
            reason = f"{found}, mostly between certain classes: {forward}. "
            reason += (
                "Losses that treat all classes alike do not help here: at 40 % "
                "asymmetric noise on CIFAR-10 GCE and SCE had 74.0 % and 75.0 %, "
                "cross-entropy 75.3 %."
            )
            add("ForwardCorrection", reason, transition_matrix="estimated")
        mild = (
            f"{found}, mostly between certain classes. Below 30 % of such noise this "
            "loss is a point or two ahead of cross-entropy (CIFAR-10, asymmetric .2: "
            "86.5 % against 83.8 %); at 40 % it is not."
        )
        add("SymmetricCrossEntropy", mild, **_symmetric_settings(many_classes))
        return chosen, warnings
    if many_classes:
        reason = (
            f"{found}, over many classes. On CIFAR-100 with symmetric .2 it had 64.6 % "
            "against 56.2 % of cross-entropy, and SCE 55.2 %."
        )
        add("GeneralizedCrossEntropy", reason, q=0.7)
        return chosen, warnings
    if rate > _MANY and can_correct:
        reason = f"{found}, over all classes alike: {forward}."
        add("ForwardCorrection", reason, transition_matrix="estimated")
    figures = (
        "symmetric .4: 82.2 % against 58.5 %"
        if rate > _MANY
        else "symmetric .2: 86.9 % against 75.5 %"
    )
    reason = f"{found}, over all classes alike. CIFAR-10, {figures} of cross-entropy."
    add("GeneralizedCrossEntropy", reason, q=0.7)
    figures = (
        "symmetric .4: 79.5 % against 58.5 %"
        if rate > _MANY
        else "symmetric .2: 87.6 % against 75.5 %"
    )
    reason = f"The other usual choice. CIFAR-10, {figures} of cross-entropy."
    add("SymmetricCrossEntropy", reason, **_symmetric_settings(many_classes))
    if rate > _MANY and num_classes <= 10:
        reason = (
            "Proven to tolerate noise that hits all classes alike; learns slowly, so "
            "give it patience, and only with few classes."
        )
        add("MeanAbsoluteError", reason)
    return chosen, warnings


def _symmetric_settings(many_classes):
    """The settings its authors used for CIFAR-100 and for CIFAR-10."""
    if many_classes:
        return {"alpha": 6.0, "beta": 0.1}
    return {"alpha": 0.1, "beta": 1.0}


def _warnings(matrix, counts, class_names):
    """What makes the estimate, or any correction by it, doubtful."""
    found = []
    names = range(len(counts)) if class_names is None else class_names
    absent = np.flatnonzero(counts == 0)
    if absent.size:
        found.append(
            f"No label of class {_list(absent, names)}: nothing can be said about "
            "such rows, which are those of the identity."
        )
    few = np.flatnonzero((counts > 0) & (counts < _ROWS_NEED))
    if few.size:
        found.append(
            f"Fewer than {_ROWS_NEED} labels of class {_list(few, names)}: such rows "
            "of the matrix are rough."
        )
    lost = np.flatnonzero(matrix.argmax(axis=1) != np.arange(len(matrix)))
    if lost.size:
        found.append(
            f"Most labels of class {_list(lost, names)} seem to be wrong: no loss can "
            "make up for that. Check some by hand."
        )
    return found


def _list(classes, names):
    shown = ", ".join(str(names[i]) for i in classes[:10])
    return f"{shown} and {len(classes) - 10} more" if len(classes) > 10 else shown
