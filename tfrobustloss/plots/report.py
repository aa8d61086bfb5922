"""Self-contained HTML page of an audit of labels.

Every text of a user (names of classes and files, cells) is escaped, and the page's
Content-Security-Policy allows the inline style and script of this package alone, by
their hashes: nothing is loaded, and nothing that a file name smuggles in would run.
"""

import base64
import dataclasses
import hashlib
import importlib.resources
import io

import numpy as np

from tfrobustloss._core.validation import ParameterError
from tfrobustloss.plots import markup
from tfrobustloss.plots.annotators import annotators_section

_MOST_BYTES = 5_000_000
_MOST_FINDINGS = 3_000
_MOST_IN_MATRIX = 30  # classes, whose whole matrix is still readable
_MOST_RATES = 200
_MOST_CELLS = 12  # columns of a user's table
_LONGEST_CELL = 80  # characters
_SIDE = 64  # pixels of a thumbnail


@dataclasses.dataclass(frozen=True)
class Finding:
    """A label that is likely wrong, as the page lists it.

    Attributes:
        id: Id of the example.
        given: Id of the class that it is labelled with.
        likelier: Id of the likelier class.
        confidence: Probability in [0, 1] that the label is wrong.
        picture: PNG or JPEG bytes, or None.
        cells: Dict of columns to cells, or None.

    Example:
        >>> Finding("a.png", given=0, likelier=1, confidence=0.9).cells is None
        True
    """

    id: str
    given: int
    likelier: int
    confidence: float
    picture: bytes | None = None
    cells: dict | None = None


def audit_page(
    estimate,
    class_names,
    findings,
    *,
    source,
    created,
    facts=None,
    notes=(),
    next_steps="",
    code="",
    annotators=(),
    settings=None,
    most_bytes=_MOST_BYTES,
):
    """The page of an audit: rates, matrix, confused classes, suspects, advice.

    Args:
        estimate: `data.estimate.Report`.
        class_names: Names of the classes, one a row of the matrix.
        findings: Iterable of `Finding`, the most important first; `priority` gives an
            order. It is read until the page is full, and listed by confidence.
        source: Name of the data.
        created: Date and time as text.
        facts: Dict of further texts for the summary.
        notes: Sentences about how the data were read.
        next_steps: Text on how to correct the labels.
        code: Python code that trains with the recommended loss.
        annotators: Sequence of `data.AnnotatorReport`, where several people labelled
            the examples: who is at odds with the rest.
        settings: Dict of texts, the settings of the run.
        most_bytes: Largest size of the page in UTF-8. Below about 100,000 the page may
            be larger, without any findings.

    Returns:
        HTML text.

    Raises:
        ValueError: There are not as many names as classes, or annotators have other
            classes.

    Example:
        >>> from tfrobustloss.data import estimate
        >>> labels = [0] * 8 + [1] * 2 + [1] * 10
        >>> probabilities = [[0.8, 0.2]] * 10 + [[0.0, 1.0]] * 10
        >>> report = estimate.report(labels, probabilities, "confident", resamples=20)
        >>> names, found = ["<b>", "dog"], [Finding("a.png", 1, 0, 0.8)]
        >>> page = audit_page(report, names, found, source="pets", created="today")
        >>> "<b>" in page, "&lt;b&gt;" in page
        (False, True)
    """
    names = [str(name) for name in class_names]
    if len(names) != len(estimate.transition_matrix):
        constraint = f"{len(estimate.transition_matrix)}, the number of classes"
        value = len(names)
        raise ParameterError("audit_page", "len(class_names)", value, constraint)
    style, script = _resource("report.css"), _resource("report.js")
    before = [
        _head(source, style, script),
        "<body>\n",
        _summary(estimate, source, created, facts or {}, notes),
        _advice(estimate, code),
        _matrix(estimate, names),
        _rates(estimate, names),
        _pairs(estimate, names),
        annotators_section(annotators, names),
    ]
    after = [
        _settings(settings or {}),
        f"<script>{script}</script>\n</body>\n</html>\n",
    ]
    room = most_bytes - sum(map(_size, before + after))
    suspects = _suspects(estimate, names, findings, next_steps, room)
    return "".join([*before, suspects, *after])


def priority(given, most=_MOST_FINDINGS):
    """Order in which suspects get a place on a page that has not room for all.

    Half of the places are shared out equally between the labels given, so that a rare
    class is there too; the others go to the likeliest.

    Args:
        given: Class ids of the suspects, the likeliest first, shape `(suspects,)`.
        most: Int >= 1, number of places.

    Returns:
        Int64 positions in `given`, at most `most`.

    Example:
        >>> priority([0, 0, 0, 0, 0, 1], most=4).tolist()
        [0, 5, 1, 2]
    """
    given = np.asarray(given, np.int64)
    order = np.argsort(given, kind="stable")
    counts = np.bincount(given)
    rank = np.empty(len(given), np.int64)
    rank[order] = np.arange(len(given)) - np.repeat(np.cumsum(counts) - counts, counts)
    own = max(1, most // (2 * max(1, np.count_nonzero(counts))))
    return np.argsort(rank >= own, kind="stable")[:most]


def thumbnail(image, side=_SIDE):
    """A small picture, as PNG or JPEG, whichever is smaller.

    Args:
        image: Uint8 array, shape `(height, width, channels)`. One channel is grey,
            three are red, green and blue, of four the last is opacity; the mean is
            taken of any other number.
        side: Int >= 1, longest side in pixels. Smaller images stay as they are.

    Returns:
        Bytes.

    Example:
        >>> thumbnail(np.zeros((200, 100, 3), np.uint8))[1:4]
        b'PNG'
    """
    from PIL import Image

    image = np.asarray(image, np.uint8)
    if image.shape[-1] not in (1, 3, 4):
        image = image.mean(axis=-1, keepdims=True).astype(np.uint8)
    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    picture.thumbnail((side, side))
    encoded = []
    for format, options in (("PNG", {"optimize": True}), ("JPEG", {"quality": 80})):
        if format == "PNG" or picture.mode != "RGBA":
            file = io.BytesIO()
            picture.save(file, format, **options)
            encoded.append(file.getvalue())
    return min(encoded, key=len)


def _head(source, style, script):
    policy = (
        f"default-src 'none'; img-src data:; style-src {_hash(style)}; "
        f"script-src {_hash(script)}; base-uri 'none'; form-action 'none'"
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>Labels of {markup.escape(source)}</title>\n"
        f"<style>{style}</style>\n</head>\n"
    )


def _summary(estimate, source, created, facts, notes):
    rate = estimate.noise_rate
    ends = f"{markup.percent(rate.low)} to {markup.percent(rate.high)} %"
    suspects = len(estimate.wrong_labels.indices)
    facts = {
        "Labels": f"{estimate.num_examples:,}",
        "Classes": len(estimate.transition_matrix),
        "More likely wrong than right": f"{suspects:,}",
        **facts,
    }
    return (
        f"<header>\n<h1>Labels of {markup.name(source)}</h1>\n"
        f'<p class="quiet">Audited by tfrobustloss, {markup.escape(created)}</p>\n'
        f'<p class="rate">About {markup.percent(rate.rate)} % of the labels are '
        "wrong</p>\n"
        f"<p>{100 * rate.confidence:g} % interval: {ends}. It is of the sampling of "
        "examples alone. It takes for granted that the network's mistakes are told "
        "from wrong labels: where it makes many, the rate itself can be several points "
        "off, most where a class is confused with one other.</p>\n"
        f"{markup.definitions(facts)}{markup.bullets(notes)}</header>\n<main>\n"
    )


def _advice(estimate, code):
    parts = [markup.bullets(estimate.warnings)]
    for one in estimate.recommendations:
        arguments = ", ".join(
            f"{key}={value}" for key, value in one["settings"].items()
        )
        call = markup.escape(f"{one['loss']}({arguments})")
        parts.append(f"<p><code>{call}</code> {markup.escape(one['reason'])}</p>\n")
    if code:
        parts.append(
            "<p>The first of them, stopped at the epoch that suits noisy validation "
            "labels. No clean label is needed. Always compare it with cross-entropy "
            "that is stopped the same way: <code>tfrobustloss compare --data</code>."
            f"</p>\n<pre><code>{markup.escape(code)}</code></pre>\n"
        )
    return markup.section("Losses that suit", "".join(parts))


def _matrix(estimate, names):
    matrix = estimate.transition_matrix
    shown = _most_confused(estimate)
    part = ""
    if len(shown) < len(matrix):
        part = (
            f" The {len(shown)} most confused classes of {len(matrix)} are shown; the "
            "rest of each row is labelled otherwise."
        )
    matrix = matrix[np.ix_(shown, shown)]
    caption = (
        "Estimated share in % of the examples of a class (row) that carry a label "
        f"(column).{part}"
    )
    shown_names = [names[i] for i in shown]
    return markup.section(
        "Transition matrix", markup.matrix(matrix, shown_names, caption)
    )


def _most_confused(estimate):
    """Ascending ids of the classes that the matrix is shown for."""
    matrix = estimate.transition_matrix
    if len(matrix) <= _MOST_IN_MATRIX:
        return np.arange(len(matrix))
    wrong = np.array([one.wrong.rate for one in estimate.class_rates])
    counts = np.array([one.count for one in estimate.class_rates])
    # examples of a class with its own label, over the share that has it
    of_class = counts * (1 - wrong) / np.maximum(np.diag(matrix), 1e-6)
    confused = matrix * of_class[:, np.newaxis]
    np.fill_diagonal(confused, 0)
    chosen = {}
    for cell in np.argsort(-confused, axis=None, kind="stable"):
        for label in divmod(int(cell), len(matrix)):
            if len(chosen) < _MOST_IN_MATRIX:
                chosen[label] = None
        if len(chosen) == _MOST_IN_MATRIX:
            break
    return np.array(sorted(chosen))


def _rates(estimate, names):
    rates = estimate.class_rates
    part = ""
    if len(rates) > _MOST_RATES:
        rates = sorted(rates, key=lambda one: -one.count * one.wrong.rate)[:_MOST_RATES]
        part = f" The {_MOST_RATES} labels with the most wrong ones are shown."
    rows = [
        f'<tr><th scope="row">{markup.name(names[one.label])}</th>'
        f'<td class="number">{one.count:,}</td>{_interval(one.wrong)}'
        f"{_interval(one.lost)}</tr>\n"
        for one in rates
    ]
    confidence = 100 * estimate.noise_rate.confidence
    caption = (
        f"Estimates with {confidence:g} % intervals: by resampling the examples, and "
        "at least as wide as Wilson's interval of a share of as many examples, since "
        f"in a small class the resampled ones may all agree by chance.{part}"
    )
    both = (
        '<th scope="col" colspan="2">Wrong among the examples with this label</th>'
        '<th scope="col" colspan="2">Labelled otherwise among the examples of this '
        "class</th>"
    )
    return markup.section(
        "Rates by class",
        f'<div class="scroll"><table><caption>{caption}</caption>\n<thead><tr>'
        f'<th scope="col">Class</th><th scope="col">Labels</th>{both}</tr></thead>\n'
        f"<tbody>\n{''.join(rows)}</tbody></table></div>\n",
    )


def _interval(rate):
    low, mark, high = (100 * value for value in (rate.low, rate.rate, rate.high))
    text = f"{mark:.1f} % ({low:.1f} to {high:.1f})"
    return (
        f'<td class="number">{text}</td><td><svg class="bar" viewBox="0 0 100 8" '
        'preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="range" x="{low:.1f}" y="1" width="{high - low:.1f}" height="6"/>'
        f'<rect class="mark" x="{min(max(mark - 0.6, 0), 98.8):.1f}" y="0" width="1.2" '
        'height="8"/></svg></td>'
    )


def _pairs(estimate, names):
    if not estimate.confused_pairs:
        return markup.section("Most confused", "<p>No two classes are confused.</p>\n")
    rows = [
        f'<tr data-clean="{one.clean}" data-noisy="{one.noisy}">'
        f'<th scope="row">{markup.name(names[one.clean])}</th>'
        f"<td>{markup.name(names[one.noisy])}</td>"
        f'<td class="number">{markup.percent(one.probability)} %</td>'
        f'<td class="number">{markup.percent(one.share)} %</td><td></td></tr>\n'
        for one in estimate.confused_pairs
    ]
    heads = ("Class", "Label", "Of the class", "Of all examples")
    columns = "".join(f'<th scope="col">{head}</th>' for head in heads)
    return markup.section(
        "Most confused",
        f'<div class="scroll"><table id="pairs"><thead><tr>{columns}<td></td></tr>'
        f"</thead>\n<tbody>\n{''.join(rows)}</tbody></table></div>\n",
    )


def _suspects(estimate, names, findings, next_steps, room):
    """The list of suspects, as long as there is room for it."""
    total = len(estimate.wrong_labels.indices)
    room -= 20_000 + _size(next_steps)  # what stands around the list
    chosen, columns, with_pictures = [], None, False
    options = set()
    for one in findings:
        if columns is None:
            columns = list(one.cells or {})[:_MOST_CELLS]
            with_pictures = one.picture is not None
        item = _card(one, names) if with_pictures else _row(one, names, columns)
        room -= _size(item)
        for label in {one.given, one.likelier} - options:
            room -= 2 * _size(_option(label, names))
            options.add(label)
        if room < 0 or len(chosen) == _MOST_FINDINGS:
            break
        chosen.append((one, item))
    chosen.sort(key=lambda pair: -pair[0].confidence)
    count = f"{len(chosen):,} of {total:,}"
    intro = (
        f"<p>{count} labels that are more likely wrong than right are listed here, "
        "with the probability that they are wrong."
    )
    if len(chosen) < total:
        intro += " The CSV file has all of them."
    intro += "</p>\n"
    if not total:
        intro = "<p>No label is more likely wrong than right.</p>\n"
    steps = f"<p>{markup.escape(next_steps)}</p>\n" if next_steps and total else ""
    if not chosen:
        return markup.section("Labels to check", intro + steps, "suspects")
    items = "".join(item for _, item in chosen)
    if with_pictures:
        listed = f'<ol class="cards" id="findings">\n{items}</ol>\n'
    else:
        listed = _table(items, columns, chosen[0][0].cells)
    controls = _controls([one for one, _ in chosen], names)
    return markup.section(
        "Labels to check", intro + steps + controls + listed, "suspects"
    )


def _table(items, columns, cells):
    heads = ["Likely wrong", "Label", "Likelier", "Id", *columns]
    row = "".join(f'<th scope="col">{markup.name(head)}</th>' for head in heads)
    caption = ""
    if cells and len(cells) > len(columns):
        caption = f"<caption>The first {len(columns)} columns of {len(cells)}</caption>"
    return (
        f'<div class="scroll"><table class="sortable">{caption}<thead><tr>{row}</tr>'
        f"</thead>\n"
        f'<tbody id="findings">\n{items}</tbody></table></div>\n'
    )


def _card(one, names):
    kind = "png" if one.picture[:4] == b"\x89PNG" else "jpeg"
    picture = base64.b64encode(one.picture).decode()
    cells = list((one.cells or {}).items())[:3]
    further = "".join(f"<br>{markup.name(key)}: {_cell(value)}" for key, value in cells)
    return (
        f'<li {_data(one)}><img src="data:image/{kind};base64,{picture}" '
        f'alt="{markup.escape(one.id)}" loading="lazy"><p>labelled '
        f'<bdi class="given">{markup.escape(names[one.given])}</bdi><br>likelier '
        f'<bdi class="likelier">{markup.escape(names[one.likelier])}</bdi><br>'
        f"{_sure(one.confidence)} likely wrong<br>"
        f'<bdi class="id">{markup.escape(one.id)}</bdi>{further}</p></li>\n'
    )


def _row(one, names, columns):
    cells = one.cells or {}
    further = "".join(f"<td>{_cell(cells.get(key))}</td>" for key in columns)
    return (
        f'<tr {_data(one)}><td class="number">{_sure(one.confidence)}</td>'
        f'<td><bdi class="given">{markup.escape(names[one.given])}</bdi></td>'
        f'<td><bdi class="likelier">{markup.escape(names[one.likelier])}</bdi></td>'
        f'<td><bdi class="id">{markup.escape(one.id)}</bdi></td>{further}</tr>\n'
    )


def _data(one):
    return (
        f'data-given="{int(one.given)}" data-likelier="{int(one.likelier)}" '
        f'data-sure="{float(one.confidence):.4f}"'
    )


def _controls(findings, names):
    def choice(name, text, labels):
        options = "".join(_option(label, names) for label in sorted(set(labels)))
        return (
            f'<label>{text}<select id="{name}"><option value="">any</option>{options}'
            "</select></label>\n"
        )

    orders = (
        ("sure", "surest first"),
        ("unsure", "least sure first"),
        ("given", "label"),
        ("likelier", "likelier class"),
        ("id", "id"),
    )
    sorts = "".join(f'<option value="{key}">{text}</option>' for key, text in orders)
    return (
        '<form class="controls" id="controls" hidden>\n'
        + choice("given", "Label", (one.given for one in findings))
        + choice("likelier", "Likelier class", (one.likelier for one in findings))
        + '<label>Likely wrong, from % on<input id="least" type="number" min="50" '
        'max="100" step="any" value="50"></label>\n'
        '<label>Text<input id="text" type="search"></label>\n'
        f'<label>Order<select id="sort">{sorts}</select></label>\n'
        '<label>Filters<button type="reset">Clear</button></label>\n'
        '<p id="count" role="status" class="quiet"></p></form>\n'
    )


def _option(label, names):
    return f'<option value="{int(label)}">{markup.escape(names[label])}</option>'


def _settings(settings):
    return markup.section("Settings", markup.definitions(settings)) + "</main>\n"


def _sure(share):
    """A probability in percent, never rounded to certainty."""
    return f"{min(markup.percent(share), '99.9', key=float)}&nbsp;%"


def _cell(value):
    text = "" if value is None else str(value)
    if isinstance(value, float):
        text = f"{value:.6g}"
    if len(text) > _LONGEST_CELL:
        text = text[: _LONGEST_CELL - 1] + "…"
    return markup.name(text)


def _hash(text):
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _resource(name):
    path = importlib.resources.files("tfrobustloss.plots") / name
    return path.read_text(encoding="utf-8")


def _size(text):
    return len(text.encode())
