"""Pieces of HTML of a page: sections, lists, matrices; texts of a user are escaped."""

import html

import numpy as np


def section(title, content, identifier=""):
    """A section with a heading, as HTML.

    Args:
        title: Text of this package, not escaped.
        content: HTML.
        identifier: Of the element, or "".
    """
    identifier = f' id="{identifier}"' if identifier else ""
    return f"<section{identifier}>\n<h2>{title}</h2>\n{content}</section>\n"


def definitions(facts):
    """A dict of texts as a list of terms; "" without any."""
    pairs = [f"<dt>{name(k)}</dt><dd>{name(v)}</dd>\n" for k, v in facts.items()]
    return f"<dl>\n{''.join(pairs)}</dl>\n" if pairs else ""


def bullets(sentences):
    """Texts as a bulleted list; "" without any."""
    items = "".join(f"<li>{name(each)}</li>\n" for each in sentences)
    return f"<ul>\n{items}</ul>\n" if items else ""


def matrix(shares, names, caption, rows=None):
    """A matrix of shares as a table whose cells are the darker the larger they are.

    Args:
        shares: Floats in [0, 1], shape `(classes, classes)`.
        names: Texts, one a class.
        caption: Text of this package, not escaped.
        rows: Class ids of the rows that are shown; None for all.
    """
    rows = range(len(shares)) if rows is None else rows
    others = np.where(np.eye(len(shares), dtype=bool), 0, shares)[list(rows)]
    largest = max(others.max(initial=0), 1e-9)
    labels = [name(each) for each in names]
    kind = "matrix long" if max(map(len, names)) > 6 else "matrix"
    lines = []
    for row in rows:
        cells = []
        for column, share in enumerate(shares[row]):
            colour, top = ("right", 1) if row == column else ("wrong", largest)
            heat = int(np.ceil(10 * min(share / top, 1) - 0.05))
            cells.append(f'<td class="{colour} h{heat}">{percent(share)}</td>')
        head = f'<tr><th scope="row">{labels[row]}</th>'
        lines.append("".join([head, *cells, "</tr>\n"]))
    columns = "".join(f'<th scope="col">{label}</th>' for label in labels)
    return (
        f'<div class="scroll"><table class="{kind}"><caption>{caption}</caption>\n'
        f"<thead><tr><td></td>{columns}</tr></thead>\n"
        f"<tbody>\n{''.join(lines)}</tbody></table></div>\n"
    )


def percent(share):
    """A share in percent, without its sign."""
    return f"{100 * share:.1f}"


def name(text):
    """Text of a user, set apart from the direction of the text around it."""
    return f"<bdi>{escape(text)}</bdi>"


def escape(text):
    """Text for HTML; characters that no page may hold are written as escapes."""
    shown = [
        each
        if each in "\n\t" or ("\x20" <= each and not "\x7f" <= each <= "\x9f")
        else repr(each)[1:-1]
        for each in str(text)
    ]
    text = "".join(shown).encode("utf-8", "backslashreplace").decode()
    return html.escape(text)
