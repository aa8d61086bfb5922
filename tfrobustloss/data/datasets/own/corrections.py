"""CSV files of corrected labels: written by an audit, edited, and applied by `read`."""

import csv
import dataclasses
import io
import os

import numpy as np

from tfrobustloss._core import files
from tfrobustloss._core.validation import ParameterError, ParameterTypeError
from tfrobustloss.data.datasets.found import listed
from tfrobustloss.data.datasets.table_file import delimiter_of, open_text

DROP = "(drop)"
COLUMNS = ("id", "given", "likelier", "confidence", "label")
_FORMULA = "=+-@\t\r"  # a spreadsheet computes a cell that begins with one
_QUOTE = "'"


@dataclasses.dataclass(frozen=True)
class Correction:
    """One line of a file of corrections that changes something.

    Attributes:
        id: Id of the example.
        given: Label that it had when the file was written, or "" if unknown.
        label: Label that it gets, or `"(drop)"`.
        line: Line of the file, from 1.
    """

    id: str
    given: str
    label: str
    line: int

    @property
    def drops(self):
        """True if the example is left out."""
        return self.label.strip() == DROP


def write_corrections(path, ids, given, likelier, confidence, labels=None):
    """Writes a CSV file of labels to check, which `read(corrections=)` applies.

    The columns are `id`, `given`, `likelier`, `confidence` and `label`. Put the right
    label into `label`, or `(drop)` to leave the example out; an example whose cell
    stays empty keeps its label. Cells that a spreadsheet would take for a formula get
    an apostrophe in front, which `read_corrections` removes.

    Args:
        path: Path of the file to write, in a folder that exists.
        ids: Ids of the examples, shape `(examples,)`.
        given: Their labels, as class names.
        likelier: Likelier labels, as class names.
        confidence: Floats in [0, 1], how sure it is that the given label is wrong.
        labels: Class names for the column `label`, `""` for no change; None leaves it
            empty. `labels=likelier` accepts everything.

    Raises:
        ValueError: The sequences differ in length, or the file cannot be written.

    Example:
        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "wrong.csv")
        >>> write_corrections(path, ["a.png"], ["cat"], ["dog"], [0.9], ["dog"])
        >>> with open(path) as file:
        ...     print(file.read().strip())
        id,given,likelier,confidence,label
        a.png,cat,dog,0.9000,dog
    """
    owner = "write_corrections"
    if not isinstance(path, str | os.PathLike):
        raise ParameterTypeError(owner, "path", path, "a path")
    path = os.path.expanduser(os.fspath(path))
    ids = [str(one) for one in ids]
    columns = {
        "given": [str(one) for one in given],
        "likelier": [str(one) for one in likelier],
        "confidence": [f"{float(one):.4f}" for one in confidence],
        "labels": [""] * len(ids) if labels is None else [str(one) for one in labels],
    }
    for name, values in columns.items():
        if len(values) != len(ids):
            constraint = f"{len(ids)}, the number of ids"
            raise ParameterError(owner, f"len({name})", len(values), constraint)
    files.check_writable(owner, "path", path)
    text = io.StringIO()
    writer = csv.writer(text)  # whose \r\n makes it quote cells with either
    writer.writerow(COLUMNS)
    for row in zip(ids, *columns.values(), strict=True):
        writer.writerow([escaped(cell) for cell in row])
    files.write(path, text.getvalue().encode("utf-8", "surrogateescape"))


def read_corrections(path):
    """Reads a CSV file of corrections: the columns `id`, `label` and maybe `given`.

    Args:
        path: Path of a file as `write_corrections` makes it, perhaps edited in a
            spreadsheet. Its delimiter may be a comma, a semicolon or a tab.

    Returns:
        List of `Correction`, one for each row with a label.

    Raises:
        ValueError: The file or one of these columns is not there, a row has no id, or
            an id is there twice.

    Example:
        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "wrong.csv")
        >>> with open(path, "w") as file:
        ...     print("id,label", "a.png,dog", "b.png,", "c.png,(drop)", sep=chr(10),
        ...           file=file)
        >>> [(one.id, one.label, one.line) for one in read_corrections(path)]
        [('a.png', 'dog', 2), ('c.png', '(drop)', 4)]
    """
    owner = "read_corrections"
    header, rows = csv_rows(owner, "path", path)
    if not {"id", "label"} <= set(header):
        constraint = "a CSV file with the columns `id` and `label`"
        hint = f"Its columns are {listed(header, 20)}."
        raise ParameterError(owner, "path", str(path), constraint, hint)
    found, seen = [], {}
    for line, row in rows:
        id, label = (unescaped(row[name] or "") for name in ("id", "label"))
        if not label.strip():
            continue
        if not id:
            raise ParameterError(owner, f"{path}, line {line}, id", id, "an id")
        if id in seen:
            constraint = f"another id than that of line {seen[id]}"
            raise ParameterError(owner, f"{path}, line {line}, id", id, constraint)
        seen[id] = line
        given = unescaped(row.get("given") or "")
        found.append(Correction(id, given, label, line))
    return found


def apply(owner, path, data):
    """Data whose labels are corrected by a file.

    Args:
        owner: Name of the function that took the path, for errors.
        path: Path of a file of corrections.
        data: `LabelledData`.

    Returns:
        `LabelledData`.

    Raises:
        ValueError: An id or a class is not known, or `given` is not the label that
            the example has.
    """
    corrections = read_corrections(path)
    labels = data.labels.copy()
    kept = np.ones(len(labels), bool)
    places = {id: index for index, id in enumerate(data.ids.tolist())}
    codes = {name: code for code, name in enumerate(data.class_names)}
    changed = 0
    for one in corrections:
        where = f"{path}, line {one.line}"
        if one.id not in places:
            constraint = f"the id of an example of {data.source}"
            raise ParameterError(owner, f"{where}, id", one.id, constraint)
        index = places[one.id]
        current = data.class_names[labels[index]]
        if one.given and one.given != current:
            constraint = f"{current!r}, the label that {one.id!r} has in {data.source}"
            hint = "Was the file made for other data, or have they changed since?"
            raise ParameterError(owner, f"{where}, given", one.given, constraint, hint)
        label = one.label if one.label in codes else one.label.strip()
        if label in codes:
            changed += int(labels[index] != codes[label])
            labels[index] = codes[label]
        elif one.drops:
            kept[index] = False
        else:
            names = ", ".join(map(repr, data.class_names[:20]))
            constraint = f"a class ({names}), {DROP!r} or empty"
            raise ParameterError(owner, f"{where}, label", one.label, constraint)
    result = dataclasses.replace(
        data,
        labels=labels,
        num_corrected=changed,
        num_dropped=int((~kept).sum()),
    )
    return result if kept.all() else result.select(kept)


def escaped(cell):
    """A cell that no spreadsheet takes for a formula; `unescaped` gives it back."""
    return _QUOTE + cell if cell[:1] in (*_FORMULA, _QUOTE) else cell


def unescaped(cell):
    """A cell as it was before `escaped`."""
    if cell[:1] == _QUOTE and cell[1:2] in (*_FORMULA, _QUOTE):
        return cell[1:]
    return cell


def csv_rows(owner, name, path):
    """Rows of a CSV file with a header.

    Args:
        owner: Name of the function that took the path, for errors.
        name: Name of its parameter.
        path: Path of the file.

    Returns:
        Names of the columns, and a list of pairs of a line, from 1, and a dict of
        columns to cells.

    Raises:
        ValueError: There is no such file, or it is no CSV.
    """
    constraint = "a CSV file"
    path = os.path.expanduser(os.fspath(path))
    if not os.path.isfile(path):
        raise ParameterError(owner, name, path, "a file that exists")
    rows = []
    with open_text(path) as file:
        delimiter = delimiter_of(file.readline())
        file.seek(0)
        reader = csv.reader(file, delimiter=delimiter)
        line, header = 1, None
        try:
            for cells in reader:
                if header is None:
                    header = [cell.strip() for cell in cells]
                elif any(cells):
                    cells += [""] * (len(header) - len(cells))
                    rows.append((line, dict(zip(header, cells, strict=False))))
                line = reader.line_num + 1
        except csv.Error as error:
            hint = f"Line {line}: {error}."
            raise ParameterError(owner, name, path, constraint, hint) from None
    if header is None:
        raise ParameterError(owner, name, path, constraint, "It is empty.")
    return header, rows
