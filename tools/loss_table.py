"""Writes the README's tables of losses from the code; `--check` only compares.

    python tools/loss_table.py

All of it comes from the classes: names, parameters with defaults and ranges, `purpose`,
`paper` and `paper_url`. Rows stay in the order that they have; a new loss goes last.
"""

import argparse
import inspect
import os
import pathlib
import re
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

README = pathlib.Path(__file__).resolve().parent.parent / "README.md"
SHARED = {"from_logits", "options", "self"}
MARK = "<!-- {}: written by tools/loss_table.py -->"
HEADINGS = {"classification": "robust to", "other tasks": "for"}


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


def main(argv=None):
    """Writes the tables, or compares them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="exit 1 if out of step")
    options = parser.parse_args(argv)
    from tfrobustloss import losses

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
