"""Writes the README's tables of losses from the code; `--check` only compares.

    python tools/loss_table.py

Names, parameters, defaults and ranges come from the classes, authors and year from the
reference in the docstring. What the code cannot say stands here: what a loss is for, in
a few words, and where its paper is.
"""

import argparse
import inspect
import os
import pathlib
import re
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

README = pathlib.Path(__file__).resolve().parent.parent / "README.md"
SHARED = {"from_logits", "ignore_class", "keras_options", "self"}
SHARED |= {"reduction", "name", "dtype"}
MARK = "<!-- {}: written by tools/loss_table.py -->"
TABLES = {
    "classification": (
        "robust to",
        {
            "CrossEntropy": (
                "nothing: the baseline",
                "",
            ),
            "MeanAbsoluteError": (
                "symmetric noise, proven; slow with many classes",
                "https://arxiv.org/abs/1712.09482",
            ),
            "GeneralizedCrossEntropy": (
                "label noise; `q` from cross-entropy (0) to MAE (1)",
                "https://arxiv.org/abs/1805.07836",
            ),
            "SymmetricCrossEntropy": (
                "label noise, by adding the reverse direction",
                "https://arxiv.org/abs/1908.06112",
            ),
            "ReverseCrossEntropy": (
                "symmetric noise: a scaled `MeanAbsoluteError`",
                "https://arxiv.org/abs/1908.06112",
            ),
            "NormalizedCrossEntropy": (
                "symmetric noise, proven; slow alone",
                "https://arxiv.org/abs/2006.13554",
            ),
            "NormalizedFocal": (
                "symmetric noise, proven; slow alone",
                "https://arxiv.org/abs/2006.13554",
            ),
            "NormalizedGeneralizedCrossEntropy": (
                "symmetric noise, proven; slow alone",
                "https://arxiv.org/abs/2006.13554",
            ),
            "ActivePassive": (
                "label noise: a loss that fits plus one that resists, any two",
                "https://arxiv.org/abs/2006.13554",
            ),
            "AsymmetricGeneralizedCrossEntropy": (
                "noise below which the right label stays the most frequent (`q` >= 1)",
                "https://arxiv.org/abs/2106.03110",
            ),
            "AsymmetricUnhinged": (
                "the same (`q` <= 1, or large `a`)",
                "https://arxiv.org/abs/2106.03110",
            ),
            "AsymmetricExponential": (
                "the same (large `a`)",
                "https://arxiv.org/abs/2106.03110",
            ),
            "AsymmetricMeanSquaredError": (
                "the same (large `a`); beside an active loss",
                "https://arxiv.org/abs/2507.17692",
            ),
            "JointAsymmetric": (
                "label noise: normalised focal plus `AsymmetricMeanSquaredError`",
                "https://arxiv.org/abs/2507.17692",
            ),
            "ActiveNegativeCrossEntropy": (
                "symmetric noise: normalised cross-entropy plus its negation",
                "",
            ),
            "ActiveNegativeFocal": (
                "symmetric noise: normalised focal plus its negation",
                "",
            ),
            "PartiallyHuberizedCrossEntropy": (
                "label noise, bounded: a line below `p = 1 / tau`",
                "",
            ),
            "PartiallyHuberizedGeneralizedCrossEntropy": (
                "label noise, bounded: a line for small `p`",
                "",
            ),
            "JensenShannon": (
                "label noise; `pi` from cross-entropy (0) to MAE (1)",
                "https://arxiv.org/abs/2105.04522",
            ),
            "LogitClip": (
                "label noise: any loss on logits of bounded length",
                "https://arxiv.org/abs/2212.04055",
            ),
            "LogitBias": (
                "many classes: any bounded loss, started where it has a gradient",
                "https://arxiv.org/abs/2306.05497",
            ),
            "SoftBootstrap": (
                "mild label noise: trusts its own prediction in part",
                "https://arxiv.org/abs/1412.6596",
            ),
            "HardBootstrap": (
                "mild label noise: trusts its own decision in part",
                "https://arxiv.org/abs/1412.6596",
            ),
            "ForwardCorrection": (
                "noise of a known matrix, consistent",
                "https://arxiv.org/abs/1609.03683",
            ),
            "BackwardCorrection": (
                "noise of a known matrix, unbiased",
                "https://arxiv.org/abs/1609.03683",
            ),
            "Focal": (
                "rare classes, not wrong labels",
                "https://arxiv.org/abs/1708.02002",
            ),
            "Adma": (
                "outliers, bounded at `base - 1`",
                "",
            ),
            "BiTemperedLogistic": (
                "outliers far off (`t1` < 1), wrong labels near the border (`t2` > 1)",
                "https://arxiv.org/abs/1906.03361",
            ),
            "TaylorLoss": (
                "what it was searched for",
                "https://arxiv.org/abs/2103.00243",
            ),
            "TaylorCrossEntropy": (
                "label noise, bounded; `order` from MAE (1) to cross-entropy",
                "",
            ),
            "PolyCrossEntropy": (
                "nothing by itself: cross-entropy tuned by one term",
                "https://arxiv.org/abs/2204.12511",
            ),
            "EpsilonSoftmaxCrossEntropy": (
                "label noise, bounded; for `ActivePassive` with `MeanAbsoluteError`",
                "",
            ),
            "TruncatedGeneralizedCrossEntropy": (
                "label noise: gives up labels with `p` below `k`; needs a warm-up",
                "https://arxiv.org/abs/1805.07836",
            ),
            "LabelDistributionallyRobust": (
                "label noise with a large `temperature`",
                "https://arxiv.org/abs/2112.14869",
            ),
            "Unhinged": (
                "symmetric noise; linear in logits, which something must hold",
                "https://arxiv.org/abs/1505.07634",
            ),
            "ConfidenceRegularized": (
                "noise that depends on the example; `beta` grows in training",
                "",
            ),
            "SparseRegularized": (
                "label noise, by sharp and sparse predictions",
                "",
            ),
            "NegativeLearning": (
                "label noise: teaches what an example is not; complementary labels",
                "",
            ),
            "DeterminantMutualInformation": (
                "noise of any class matrix, a batch at a time; needs a trained start",
                "https://arxiv.org/abs/1909.03388",
            ),
            "MeanSquaredError": (
                "outliers, bounded: the Brier score",
                "",
            ),
            "SquaredHinge": (
                "nothing: a baseline of the Adma paper",
                "",
            ),
            "Baikal": (
                "nothing: an early evolved loss, a regulariser",
                "https://arxiv.org/abs/1905.11528",
            ),
        },
    ),
    "other tasks": (
        "for",
        {
            "SigmoidFocal": (
                "detection: rare objects among easy anchors",
                "https://arxiv.org/abs/1708.02002",
            ),
            "IoUBalancedClassification": (
                "the same; anchors count by the overlap of their box",
                "https://arxiv.org/abs/1908.05641",
            ),
            "IoUBalancedLocalization": (
                "boxes that are nearly right, not outliers",
                "https://arxiv.org/abs/1908.05641",
            ),
            "GeneralizedDice": (
                "segmentation with small classes, by overlap",
                "https://arxiv.org/abs/1707.03237",
            ),
            "Boundary": (
                "the same, by distance to the border",
                "https://arxiv.org/abs/1812.07032",
            ),
            "RegionBoundary": (
                "the same: any loss on regions and `Boundary` in one",
                "https://arxiv.org/abs/1812.07032",
            ),
            "Perceptual": (
                "images, by what a network sees in them: content, style, smoothness",
                "https://arxiv.org/abs/1603.08155",
            ),
            "MinimaxGAN": (
                "generative adversarial networks: the original game",
                "https://arxiv.org/abs/1406.2661",
            ),
            "NonSaturatingGAN": (
                "the same, with a generator that learns from the start",
                "https://arxiv.org/abs/1406.2661",
            ),
            "LeastSquaresGAN": (
                "the same, by squared distances",
                "https://arxiv.org/abs/1611.04076",
            ),
            "WassersteinGAN": (
                "the same, for a critic of bounded slope",
                "https://arxiv.org/abs/1701.07875",
            ),
            "HingeGAN": (
                "the same, with a margin for the critic",
                "https://arxiv.org/abs/1705.02894",
            ),
        },
    ),
}
BASES = {"FunctionLoss", "TaskLoss", "NestedLoss"}


def parameters(loss_class):
    """Text of the parameters of a class with their defaults and ranges."""
    limits, parts = getattr(loss_class, "limits", {}), []
    for name, parameter in inspect.signature(loss_class.__init__).parameters.items():
        if name in SHARED:
            continue
        text = name
        if parameter.default is not inspect.Parameter.empty:
            text += f"={shown(parameter.default)}"
        text = f"`{text}`"
        if name in limits:
            text += f" {limits[name]}".replace(" or None", "")
        parts.append(text)
    return ", ".join(parts)


def shown(value):
    """A default as one would write it."""
    if isinstance(value, float) and not 1e-3 < abs(value) < 1e4 and value:
        return f"{value:.6g}"
    return f'"{value}"' if isinstance(value, str) else f"{value!r:.6}"


def paper(function, address):
    """Author and year of the first reference of a docstring, linked."""
    if "Reference:" not in inspect.getdoc(function):
        return ""
    text = " ".join(inspect.getdoc(function).split("Reference:")[-1].split())
    text = re.sub(r"^[A-Z][a-z ]+: ", "", text)
    author = re.split(r",? \"|, The", text)[0]
    names = re.split(r", | and ", author)
    if "et al." not in author:
        author = " and ".join(names) if len(names) < 3 else f"{names[0]} et al."
    number = re.compile(r"arXiv:? ?(\d\d)\d\d\.\d{4,5}")  # begins with the year
    year = re.search(r"\b(?:19|20)\d\d\b", number.sub("", text))
    year = year.group() if year else "".join(f"20{y}" for y in number.findall(text)[:1])
    label = f"{author} {year}".strip()
    return f"[{label}]({address})" if address else label


def table(losses, heading, texts):
    """Lines of one table."""
    lines = [f"| loss | {heading} | parameters | paper |", "|---|---|---|---|"]
    for name, (text, address) in texts.items():
        loss_class = getattr(losses, name)
        cells = [f"`{name}`", text, parameters(loss_class)]
        cells.append(paper(loss_class.function, address))
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def written(text, losses):
    """The README with its tables as the code has them."""
    for title, (heading, texts) in TABLES.items():
        begin, end = MARK.format(title), MARK.format(f"end of {title}")
        before, rest = text.split(begin)
        after = rest.split(end)[1]
        middle = "\n".join(table(losses, heading, texts))
        text = f"{before}{begin}\n{middle}\n{end}{after}"
    return text


def main(argv=None):
    """Writes the tables, or compares them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="exit 1 if out of step")
    options = parser.parse_args(argv)
    from tfrobustloss import losses

    classes = {
        name
        for name in losses.__all__
        if inspect.isclass(getattr(losses, name)) and name not in BASES
    }
    listed = {name for _, texts in TABLES.values() for name in texts}
    if classes != listed:
        print(f"tools/loss_table.py: {sorted(classes ^ listed)} in one place only")
        return 1
    old = README.read_text()
    new = written(old, losses)
    if options.check and new != old:
        print("README.md: run `python tools/loss_table.py`, the tables have changed")
        return 1
    if new != old:
        README.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
