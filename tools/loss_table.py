"""Writes the tables of losses from the code; `--check` only compares.

    python tools/loss_table.py

Those of the README come from the classes: names, parameters with defaults and ranges,
`purpose`, `paper` and `paper_url`. Rows stay in the order that they have; a new loss
goes last. That of `docs/losses.md` is computed by `losses.describe`.
"""

import argparse
import functools
import inspect
import os
import pathlib
import re
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

ROOT = pathlib.Path(__file__).resolve().parent.parent
README, DOCS = ROOT / "README.md", ROOT / "docs" / "losses.md"
SHARED = {"from_logits", "options", "self"}
MARK = "<!-- {}: written by tools/loss_table.py -->"
HEADINGS = {"classification": "robust to", "other tasks": "for"}
CLASSES = 10
NOISE = 0.4  # of the transition matrix
# what stands for arguments without a default
EXAMPLES = {
    "transition_matrix": [
        [1 - NOISE if i == j else NOISE / (CLASSES - 1) for j in range(CLASSES)]
        for i in range(CLASSES)
    ],
    "theta": [0, 0, 0, 2, 0, 0, -2, 0, 0, 0, 0, 0],  # the squared error
    "class_frequencies": list(range(CLASSES, 0, -1)),
}


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


def paper(loss_class):
    """Authors and year, linked where the class says where the paper is."""
    if not loss_class.paper_url:
        return loss_class.paper
    return f"[{loss_class.paper}]({loss_class.paper_url})"


def table(heading, classes):
    """Lines of one table."""
    lines = [f"| loss | {heading} | parameters | paper |", "|---|---|---|---|"]
    for each in classes:
        cells = [f"`{each.__name__}`", each.purpose, parameters(each), paper(each)]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def by_title(losses):
    """Dict of the tables' titles to the public classes that belong there, by name."""
    found = {title: {} for title in HEADINGS}
    for name in losses.__all__:
        each = getattr(losses, name)
        if inspect.isclass(each) and issubclass(each, losses.FunctionLoss):
            if each not in (losses.FunctionLoss, losses.TaskLoss):
                other = issubclass(each, losses.TaskLoss)
                found["other tasks" if other else "classification"][name] = each
    return found


def written(text, losses):
    """The README with its tables as the code has them."""
    for title, classes in by_title(losses).items():
        begin, end = MARK.format(title), MARK.format(f"end of {title}")
        before, rest = text.split(begin)
        old, after = rest.split(end)
        names = re.findall(r"^\| `(\w+)` \|", old, re.MULTILINE)
        order = [name for name in names if name in classes]
        order += [name for name in classes if name not in order]
        rows = table(HEADINGS[title], [classes[name] for name in order])
        middle = "\n".join(rows)
        text = f"{before}{begin}\n{middle}\n{end}{after}"
    return text


@functools.cache
def properties(losses):
    """Lines of the table of what the losses on class labels are, by `describe`."""
    heads = ["loss", "symmetric", "bounded", "proper score", "variation ratio"]
    heads += [f"weight at p = 1/{CLASSES}"]
    heads += [f"value at p = {p}" for p in ("0", f"1/{CLASSES}", "1")]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, each in by_title(losses)["classification"].items():
        one = losses.describe(example(each), CLASSES)
        cells = [f"`{name}`"]
        if one.note:
            cells += [one.note] + [""] * (len(heads) - 2)
        else:
            ends = f"[{number(one.lowest)}, {number(one.highest)}]"
            proper = "strictly" if one.strictly_proper else answer(one.proper)
            cells += [answer(one.symmetric), f"{answer(one.bounded)} {ends}", proper]
            numbers = one.variation_ratio, one.weight
            numbers += one.at_zero, one.at_even, one.at_one
            cells += map(number, numbers)
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def example(loss_class):
    """A loss with its default parameters, and examples of required ones."""
    signature = inspect.signature(loss_class).parameters
    given = {
        name: value
        for name, value in EXAMPLES.items()
        if name in signature
        and signature[name].default in (inspect.Parameter.empty, None)
    }
    return loss_class(**given)


def answer(yes):
    """Yes, no, or a dash for what is not known."""
    return "-" if yes is None else "yes" if yes else "no"


def number(value):
    """A number of three digits."""
    return f"{value:.3g}"


def described(text, losses):
    """The page of `docs` with its table as the code has it."""
    begin, end = MARK.format("properties"), MARK.format("end of properties")
    before, rest = text.split(begin)
    table = "\n".join(properties(losses))
    return f"{before}{begin}\n{table}\n{end}{rest.split(end)[1]}"


def main(argv=None):
    """Writes the tables, or compares them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="exit 1 if out of step")
    options = parser.parse_args(argv)
    from tfrobustloss import losses

    status = 0
    for path, update in ((README, written), (DOCS, described)):
        old = path.read_text()
        new = update(old, losses)
        if options.check and new != old:
            print(f"{path.name}: run `python tools/loss_table.py`, the tables changed")
            status = 1
        elif new != old:
            path.write_text(new)
    return status


if __name__ == "__main__":
    sys.exit(main())
