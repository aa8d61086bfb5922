"""Columns of a table as features: numbers standardised, words one-hot."""

import collections
import dataclasses
import re

import numpy as np

from tfrobustloss._core.validation import ParameterError
from tfrobustloss.data.datasets.found import OWNER, check_bytes, is_number, listed
from tfrobustloss.data.datasets.table_file import is_numeric, is_text, numbers, plain

MOST_WORDS = 50  # categories of one column
_OTHER, _MISSING = "(other)", "(missing)"
# what counts as an empty cell, of features alone: a class may be called None
_EMPTY = {"", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "#N/A", "<NA>"}
_INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")


@dataclasses.dataclass(frozen=True)
class NumberColumn:
    """A column of numbers, `(value - mean) / deviation`.

    Attributes:
        name: Name of the column.
        mean: Mean of the column that was read first, missing cells left out.
        deviation: Its standard deviation, or 1 where that is 0.
        median: What a missing cell counts as.
    """

    name: str
    mean: float
    deviation: float
    median: float

    @property
    def feature_names(self):
        """The name of the column."""
        return (self.name,)


@dataclasses.dataclass(frozen=True)
class WordColumn:
    """A column of words, one-hot.

    Attributes:
        name: Name of the column.
        words: Tuple of the words that have a feature of their own, sorted. `(other)`
            stands for all further ones and `(missing)` for empty cells, where the
            column that was read first has them.
    """

    name: str
    words: tuple[str, ...]

    @property
    def feature_names(self):
        """`column=word` for each word."""
        return tuple(f"{self.name}={word}" for word in self.words)


@dataclasses.dataclass(frozen=True)
class TableEncoding:
    """How the columns of a table become features; the same for train and test.

    Attributes:
        columns: Tuple of `NumberColumn` and `WordColumn`.
    """

    columns: tuple[NumberColumn | WordColumn, ...]

    @property
    def feature_names(self):
        """Names of all features."""
        return tuple(name for each in self.columns for name in each.feature_names)

    def features(self, file, max_bytes):
        """The features of a table.

        Args:
            file: `TableFile`.
            max_bytes: Largest size of the features.

        Returns:
            Float32 array, shape `(rows, features)`, and a list of notes.

        Raises:
            ValueError: A column is missing or is of another kind than the one that
                was read first.
        """
        width, rows, notes = len(self.feature_names), file.table.num_rows, []
        hint = "Leave out columns of many words by `ignore`."
        check_bytes(f"features of {file.path}", 4 * width * rows, max_bytes, hint)
        result, start = np.empty((rows, width), np.float32), 0
        for column in self.columns:
            file.check_column("column", column.name)
            stop = start + len(column.feature_names)
            if isinstance(column, NumberColumn):
                values = _numbers(file, column.name)
                if values is None:
                    cells = _words(file, column.name)
                    row = next(i for i, one in enumerate(cells) if one is not None)
                    place = file.place(row, column.name)
                    constraint = "a number, as in the table read first"
                    raise ParameterError(OWNER, place, cells[row], constraint)
                values = np.where(np.isnan(values), column.median, values)
                result[:, start] = (values - column.mean) / column.deviation
            else:
                block = result[:, start:stop]
                notes += _one_hot(file, column, _words(file, column.name), block)
            start = stop
        return result, notes


def fit_encoding(file, names, words):
    """The encoding of the columns of a table.

    Args:
        file: `TableFile`.
        names: Names of the columns that are features.
        words: Names of those whose cells are words even if they look like numbers.

    Returns:
        `TableEncoding` and a list of notes.

    Raises:
        ValueError: A column holds neither numbers nor words, both of them, or an
            infinite number.
    """
    columns, notes = [], []
    for name in names:
        values = None if name in words else _numbers(file, name)
        if values is None:
            columns.append(_word_column(file, name, notes))
            continue
        seen = values[~np.isnan(values)]
        if not seen.size:
            notes.append(f"Column {name!r} is empty and was left out.")
            continue
        median = float(np.median(seen))
        deviation = float(np.std(seen))
        if len(seen) < len(values):
            notes.append(
                f"Column {name!r}: {len(values) - len(seen)} missing cells count as "
                f"its median, {median:g}."
            )
        columns.append(
            NumberColumn(name, float(np.mean(seen)), deviation or 1.0, median)
        )
    return TableEncoding(tuple(columns)), notes


def _word_column(file, name, notes):
    cells = _words(file, name)
    counts = collections.Counter(cells)
    missing = counts.pop(None, 0)
    common = sorted(counts, key=lambda word: (-counts[word], word))
    words = sorted(common)
    if len(common) > MOST_WORDS:
        words = [*sorted(common[: MOST_WORDS - 1]), _OTHER]
        notes.append(
            f"Column {name!r} has {len(common)} different words: the "
            f"{MOST_WORDS - 1} most frequent have a feature each, the others share "
            "one. Leave the column out by `ignore` if it names examples."
        )
    if missing:
        words.append(_MISSING)
        notes.append(
            f"Column {name!r}: {missing} missing cells are a word of their own."
        )
    return WordColumn(name, tuple(words))


def _one_hot(file, column, cells, block):
    """Writes the features of a column of words; returns notes."""
    places = {word: place for place, word in enumerate(column.words)}
    other, missing = places.get(_OTHER), places.get(_MISSING)
    chosen = [missing if cell is None else places.get(cell, other) for cell in cells]
    block[:] = 0
    known = np.array([place is not None for place in chosen], bool)
    block[np.flatnonzero(known), [place for place in chosen if place is not None]] = 1
    if known.all():
        return []
    new = sorted({str(cells[row] or "") for row in np.flatnonzero(~known)})
    return [
        f"{file.path}, column {column.name!r}: {int((~known).sum())} cells are none of "
        f"the words of the table read first, for example {listed(new, 1)}: their "
        "features are 0."
    ]


def _numbers(file, name):
    """A column as float64 with NaN for missing cells, or None for words."""
    import pyarrow as pa

    cells = plain(file.table.column(name))
    if pa.types.is_null(cells.type):
        return np.full(len(cells), np.nan)
    if is_numeric(cells.type):
        values = numbers(cells)
    elif is_text(cells.type):
        values = _parsed(file, name, cells)
        if values is None:
            return None
    else:
        hint = f"Leave it out: ignore=[{name!r}]; or write it as numbers or text."
        place = f"{file.path}, column {name!r}"
        constraint = "numbers or text"
        raise ParameterError(OWNER, place, str(cells.type), constraint, hint)
    for row in np.flatnonzero(np.isinf(values))[:1]:
        place = file.place(row, name)
        hint = "Leave the cell empty, or the column out by `ignore`."
        raise ParameterError(OWNER, place, float(values[row]), "finite", hint)
    return values


def _parsed(file, name, cells):
    """Text as float64; None where it is words. Raises where it is both."""
    import pyarrow as pa
    from pyarrow import compute

    trimmed = compute.utf8_trim_whitespace(cells)
    empty = compute.is_in(trimmed, value_set=pa.array(sorted(_EMPTY), trimmed.type))
    try:
        return numbers(compute.if_else(empty, None, trimmed))
    except pa.ArrowInvalid:  # find out which cells are no numbers
        pass
    texts = [None if one is None else one.strip() for one in cells.to_pylist()]
    values = np.full(len(texts), np.nan)
    words, commas, count = [], 0, 0
    for row, text in enumerate(texts):
        if text is None or text in _EMPTY:
            continue
        if is_number(text) or _INFINITE.fullmatch(text):
            values[row] = float(text)
            count += 1
        else:
            words.append(row)
            commas += _DECIMAL_COMMA.fullmatch(text) is not None
    if not words:
        return values
    if 2 * commas > len(words):
        first = next(row for row in words if _DECIMAL_COMMA.fullmatch(texts[row]))
        hint = "Save the table with decimal points."
        place = file.place(first, name)
        raise ParameterError(OWNER, place, texts[first], "a number", hint)
    if count > len(words):
        hint = (
            "Correct the cell, leave it empty if it is missing, or read the column as "
            f"words by words=[{name!r}]."
        )
        constraint = f"a number, as {count} other cells of the column are"
        place = file.place(words[0], name)
        raise ParameterError(OWNER, place, texts[words[0]], constraint, hint)
    return None


def _words(file, name):
    """The cells of a column as a list of text, None for missing ones."""
    cells = [None if one is None else one.strip() for one in file.texts(name)]
    return [None if one in _EMPTY else one for one in cells]
