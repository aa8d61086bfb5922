"""Opens a CSV or Parquet table with pyarrow; tells the line of a row."""

import csv
import os

import numpy as np

from tfrobustloss._core.validation import ParameterError
from tfrobustloss.data.datasets.found import OWNER, check_bytes, listed
from tfrobustloss.data.datasets.labelled_data import first_repeated

CSV, PARQUET = (".csv", ".tsv"), (".parquet", ".pq")
_DELIMITERS = ",;\t"
_HINT = "Raise `max_bytes` if that much memory is free."


class TableFile:
    """A table in memory: the cells of a CSV file as text, those of Parquet typed.

    Args:
        path: Path of a file that ends in `.csv`, `.tsv`, `.parquet` or `.pq`.
        max_bytes: Largest size of the file, and of the table in memory.

    Attributes:
        path: As given.
        table: `pyarrow.Table`.
        columns: List of the names of its columns.

    Raises:
        ValueError: It is no table, has no rows, or is too large.
    """

    def __init__(self, path, max_bytes):
        self.path = path
        self._delimiter = None
        check_bytes(f"size of {path}", os.path.getsize(path), max_bytes, _HINT)
        if os.path.splitext(path)[1].lower() in PARQUET:
            self.table = _parquet(path, max_bytes)
        else:
            self._delimiter, header = _header(path)
            self.table = self._csv(header)
        self.columns = list(self.table.column_names)
        repeated = first_repeated(self.columns)
        if repeated is not None:
            constraint = "different from the names of other columns"
            place = f"{path}, name of column {repeated + 1}"
            raise ParameterError(OWNER, place, self.columns[repeated], constraint)
        if not self.table.num_rows:
            raise ParameterError(OWNER, f"rows of {path}", 0, "1 or more")

    def place(self, row, column=None):
        """Where a row stands, counted from 0: `a.csv, line 2, column 'age'`."""
        text = f"{self.path}, row {row + 1}"
        if self._delimiter is not None:
            text = f"{self.path}, line {self._line(row)}"
        return text if column is None else f"{text}, column {column!r}"

    def check_column(self, name, column):
        """Raises a ValueError if the table lacks a column."""
        if column not in self.columns:
            constraint = f"a column of {self.path}: {listed(self.columns, 20)}"
            raise ParameterError(OWNER, name, column, constraint)

    def texts(self, column):
        """The cells of a column as a list of text, None for empty ones.

        Raises:
            ValueError: The column holds neither numbers nor text.
        """
        import pyarrow as pa

        cells = plain(self.table.column(column))
        kind = cells.type
        known = is_text(kind) or is_numeric(kind) or pa.types.is_null(kind)
        if not known:
            place = f"{self.path}, column {column!r}"
            raise ParameterError(OWNER, place, str(kind), "numbers or text")
        values = cells.to_pylist()
        return [
            None if value is None or value == "" else str(value) for value in values
        ]

    def _csv(self, header):
        import pyarrow as pa
        from pyarrow import csv as arrow_csv

        if len(set(header)) < len(header):  # named by the check of all tables
            return pa.table([pa.array([""])] * len(header), names=header)
        try:
            return arrow_csv.read_csv(
                self.path,
                parse_options=arrow_csv.ParseOptions(
                    delimiter=self._delimiter, newlines_in_values=True
                ),
                convert_options=arrow_csv.ConvertOptions(
                    column_types=dict.fromkeys(header, pa.string()),
                    strings_can_be_null=False,
                ),
            )
        except pa.ArrowInvalid as error:
            self._check_lengths(len(header))
            _check_text(self.path)
            reason = str(error).split("\n")[0]
            constraint = "a CSV table"
            raise ParameterError(OWNER, "path", self.path, constraint, reason) from None

    def _check_lengths(self, width):
        for line, cells in _rows(self.path, self._delimiter):
            if len(cells) != width:
                constraint = f"{width} cells, as many as the header has"
                hint = "Put cells that hold the delimiter in quotes."
                place = f"{self.path}, line {line}"
                found = f"{len(cells)} cells"
                raise ParameterError(OWNER, place, found, constraint, hint)

    def _line(self, row):
        for index, (line, _) in enumerate(_rows(self.path, self._delimiter)):
            if index == row + 1:
                return line
        return row + 2


def plain(column):
    """A column of pyarrow in one piece, its dictionary decoded."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if isinstance(column, pa.ChunkedArray):
        return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    return column


def is_text(kind):
    """Whether a type of pyarrow is text."""
    import pyarrow as pa

    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def is_numeric(kind):
    """Whether a type of pyarrow is a number or bool."""
    import pyarrow as pa

    checks = (
        pa.types.is_integer,
        pa.types.is_floating,
        pa.types.is_boolean,
        pa.types.is_decimal,
    )
    return any(check(kind) for check in checks)


def numbers(cells):
    """Numbers of pyarrow as float64, NaN for None."""
    import pyarrow as pa

    return np.asarray(cells.cast(pa.float64(), safe=False).to_numpy(False), np.float64)


def open_text(path):
    """A file of text as UTF-8, as spreadsheets write it, with undecodable bytes."""
    return open(path, encoding="utf-8-sig", errors="surrogateescape", newline="")


def delimiter_of(line):
    """The delimiter of a CSV file by its header: comma, semicolon or tab."""
    return max(_DELIMITERS, key=line.count)


def _header(path):
    """Delimiter and names of the columns."""
    with open_text(path) as file:
        delimiter = delimiter_of(file.readline())
    for _, cells in _rows(path, delimiter):
        _check_text(path, lines=1)
        return delimiter, cells
    raise ParameterError(OWNER, "path", path, "a CSV table", "It is empty.")


def _rows(path, delimiter):
    """First line and cells of each row, header included, empty lines left out."""
    with open_text(path) as file:
        reader, line = csv.reader(file, delimiter=delimiter), 1
        try:
            for cells in reader:
                if cells:
                    yield line, cells
                line = reader.line_num + 1
        except csv.Error as error:
            constraint = "a row of CSV"
            place = f"{path}, line {line}"
            raise ParameterError(OWNER, place, str(error), constraint) from None


def _check_text(path, lines=None):
    """Raises a ValueError for the first line that is not UTF-8."""
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError:
                hint = "Save the file as UTF-8."
                place, found = f"{path}, line {number}", line[:40]
                raise ParameterError(OWNER, place, found, "UTF-8", hint) from None
            if number == lines:
                return


def _parquet(path, max_bytes):
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            data = file.metadata
            groups = map(data.row_group, range(data.num_row_groups))
            size = sum(group.total_byte_size for group in groups)
            check_bytes(f"cells of {path}", size, max_bytes, _HINT)
            return file.read()
    except (pa.ArrowException, OSError) as error:
        reason = str(error).split("\n")[0]
        constraint = "a Parquet table"
        raise ParameterError(OWNER, "path", path, constraint, reason) from None
