"""Detects `tf.data.Dataset`s whose order of examples changes between epochs.

The noise of an example depends on its index, so that a source has to yield the same
examples in the same order every time. The graph of datasets is searched for what
changes the order: first the Python objects, then the nodes of their functions and of
datasets that exist as tensors only. Serializing the whole source would be simpler, and
copies all arrays in it. Random or Python code in a function does not always change the
order (augmentation does not): there the first labels are read twice and compared.
"""

import dataclasses

import numpy as np

from tfrobustloss._core.validation import ParameterError

_OWNER = "pipeline"
_CONSTRAINT = "a dataset that yields the same examples in the same order in every epoch"
_ENUMERATE = (
    "number the examples before their order changes, `dataset.enumerate()`: the "
    "pipeline then gets `(index, (image, label))`."
)
_LABELS = 37  # compared; a prime, so that labels in turn do not look the same
_WHOLE = 8  # examples of a generator, or batches, compared with their images
_PYTHON = {"PyFunc", "PyFuncStateless", "EagerPyFunc"}
_KNOWN_SOURCES = (
    *("TensorSlice", "_TensorDataset", "Range", "ListDataset", "LoadDataset"),
    *("TFRecord", "TextLine", "FixedLength", "Csv", "Sql", "Snapshot"),
)


@dataclasses.dataclass(frozen=True)
class _Change:
    """A transformation that changes the order, and how to avoid it.

    Attributes:
        text: The transformation as one writes it.
        hint: Way out.
    """

    text: str
    hint: str


_SHUFFLE = _Change(
    "shuffle()",
    "Leave it out, since the pipeline shuffles by itself (in TFDS: no `shuffle_files`; "
    "in Keras: `image_dataset_from_directory(..., shuffle=False)`), or "
    "`dataset.enumerate().shuffle(...)`: the pipeline then gets "
    "`(index, (image, label))`.",
)
_REPEAT = _Change(
    "repeat()",
    "Each repetition would get other noise. Repeat the batches instead, "
    f"`pipeline(...).repeat()`, or {_ENUMERATE}",
)
_RANDOM = _Change(
    "Dataset.random()",
    f"Give it a `seed` and no `rerandomize_each_iteration`, or {_ENUMERATE}",
)
_RANDOM_CHOICE = _Change(
    "a random choice from datasets",
    "Give `sample_from_datasets` a `seed` and no `rerandomize_each_iteration`, or "
    f"{_ENUMERATE}",
)
_RANDOM_FILTER = _Change("a random filter()", f"Give it a seed, or {_ENUMERATE}")
_PARALLEL = _Change(
    "deterministic=False",
    f"Leave it out (in TFDS: no `shuffle_files`), or {_ENUMERATE}",
)
_SERVICE = _Change("the tf.data service", f"Use it on the batches, or {_ENUMERATE}")
_PROBE = _Change(
    "first examples that differ between two iterations",
    "Let it yield its examples in one order, or with their index, "
    "`(index, (image, label))`.",
)


def check_order(dataset, label_of):
    """Raises a ValueError if the examples of a dataset may come in changing order.

    A dataset of `(index, example)` may come in any order, if it was numbered before
    its order changed.

    Args:
        dataset: `tf.data.Dataset`.
        label_of: Function of an element that returns its label.
    """
    _Search(dataset, label_of).check()


def check_numbering(dataset, has_index):
    """Raises a ValueError if a dataset was enumerated after its order had changed.

    Args:
        dataset: `tf.data.Dataset` of elements with an index.
        has_index: Function of an element spec: whether its elements have an index.
    """
    for each in _children(dataset):
        if _is_enumerate(dataset) and each is dataset._inputs()[0]:
            continue
        if not _is_enumerate(dataset) or has_index(each.element_spec):
            check_numbering(each, has_index)
        else:
            check_order(each, None)


class _Search:
    """The search of one dataset for changes of the order.

    Args:
        dataset: `tf.data.Dataset`.
        label_of: Function of an element that returns what two iterations have to
            agree in; None for the whole element.
    """

    def __init__(self, dataset, label_of):
        self._dataset, self._label_of = dataset, label_of
        self._unordered = dataset.options().deterministic is False
        self._doubts = False  # random or Python code whose effect cannot be read
        self._generators = []  # datasets from a Python generator

    def check(self):
        change = self._change(self._dataset)
        if change is None and self._differs():
            change = _PROBE
        if change is not None:
            received = f"a dataset with {change.text}"
            raise ParameterError(_OWNER, "dataset", received, _CONSTRAINT, change.hint)

    def _change(self, dataset, chooses=False, repeats=True, filtered=False):
        """The first change of order in a dataset and its inputs, or None.

        Args:
            dataset: `tf.data.Dataset`.
            chooses: Whether the values of the dataset decide on the order of others.
            repeats: Whether to look for `repeat`.
            filtered: Whether its values may decide which elements stay.
        """
        kind, inputs = type(dataset).__name__, _children(dataset)
        change = self._own_change(dataset, kind, chooses, repeats)
        change = change or self._in_functions(dataset, kind, chooses)
        if change is not None:
            return change
        if not inputs:
            self._doubts |= not any(known in kind for known in _KNOWN_SOURCES)
        repeats = repeats and "Scan" not in kind  # how `Dataset.counter` counts
        if "DirectedInterleave" in kind:
            selector, *inputs = inputs
            if self._change(selector, chooses=True, repeats=False):
                return _RANDOM_CHOICE
        filtered = filtered or _is_filter(kind)
        found = [self._change(each, chooses, repeats, filtered) for each in inputs]
        found = [each for each in found if each is not None]
        if "Zip" in kind and not chooses and len(found) < len(inputs):
            self._doubts |= bool(found)
            harmless = {_REPEAT} if filtered else {_REPEAT, _RANDOM}
            found = [each for each in found if each not in harmless]
        return found[0] if found else None

    def _own_change(self, dataset, kind, chooses, repeats):
        if "ShuffleAndRepeat" in kind:
            return _SHUFFLE
        if "Shuffle" in kind:
            return None if _is_fixed_shuffle(dataset) else _SHUFFLE
        if kind.startswith(("_Random", "Random")):
            fixed = _has_seed(dataset) and not getattr(dataset, "_rerandomize", True)
            return None if fixed else _RANDOM
        if "Repeat" in kind and repeats:
            return None if _static(dataset, "_count") in (0, 1) else _REPEAT
        if "DataService" in kind or "Remote" in kind:
            return _SERVICE
        if "LegacySnapshot" in kind and getattr(dataset, "_shuffle_on_read", True):
            return _SHUFFLE
        if kind == "_VariantDataset":
            return self._in_variant(dataset._variant_tensor, chooses, repeats)
        if self._runs_unordered(dataset, kind):
            return _PARALLEL
        return None

    def _runs_unordered(self, dataset, kind):
        """Whether elements of a parallel transformation may overtake each other."""
        if kind == "_MapDataset":  # tf.data makes it parallel by itself
            return self._unordered
        if "Parallel" not in kind and "ParseExample" not in kind:
            return False
        setting = getattr(dataset, "_deterministic", None)
        if setting is None:  # `interleave` keeps it in its operation only
            setting = _own_attribute(dataset._variant_tensor, "deterministic")
        return setting == "false" or setting == "default" and self._unordered

    def _in_functions(self, dataset, kind, chooses):
        for wrapper in dataset._functions():
            function = wrapper.function
            bodies = _bodies(function.graph.as_graph_def())
            if any(node.op == "GeneratorDataset" for body in bodies for node in body):
                self._generators.append(dataset)
                continue
            change = self._in_bodies(bodies, chooses or _is_filter(kind))
            if change is not None:
                return change
            for captured in function.captured_inputs:
                if captured.dtype.name == "variant":  # a dataset, most likely
                    change = self._in_variant(captured, chooses, repeats=False)
                    if change is not None:
                        return change
        return None

    def _in_variant(self, variant, chooses, repeats):
        """The change in a dataset that exists as a tensor only."""
        graph = _graph_of(variant)
        if graph is None:
            self._doubts = True
            return None
        return self._in_bodies(_bodies(graph), chooses, whole=True, repeats=repeats)

    def _in_bodies(self, bodies, decides, whole=False, repeats=False):
        """The change in the nodes of a graph and of its functions.

        Args:
            bodies: List of lists of nodes.
            decides: Whether the values decide which elements come when.
            whole: Whether the first list is a dataset that lives on between epochs,
                not a function that is run again in each.
            repeats: Whether to look for `repeat` in the first list.
        """
        for i, body in enumerate(bodies):
            constants = {node.name: node for node in body if node.op == "Const"}
            lives_on = whole and i == 0
            for node in body:
                change = _change_of_node(node, constants, lives_on, repeats and i == 0)
                if change is not None:
                    return change
                if decides and _is_random(node):
                    return _RANDOM_FILTER
                self._doubts |= node.op in _PYTHON or _is_random(node)
        return None

    def _differs(self):
        """Whether two iterations begin with different examples.

        Images may differ, by augmentation, but not those that come straight out of a
        generator: they show one that is shuffled within a class, or cannot restart.
        """
        if any(_begins_differently(each, _WHOLE) for each in self._generators):
            return True
        if not self._doubts:
            return False
        return _begins_differently(self._dataset, _LABELS, self._label_of)


def _begins_differently(dataset, count, part=None):
    import tensorflow as tf

    def begin():
        elements = dataset.take(count).as_numpy_iterator()
        return [tf.nest.flatten(part(each) if part else each) for each in elements]

    try:
        first, second = begin(), begin()
    except tf.errors.OpError:  # it says so when it is read
        return False
    return len(first) != len(second) or any(
        not np.array_equal(one, other)
        for pair in zip(first, second, strict=True)
        for one, other in zip(*pair, strict=True)
    )


def _is_filter(kind):
    return "Filter" in kind or "TakeWhile" in kind


def _children(dataset):
    """The datasets that a dataset reads: its inputs and those it keeps to itself."""
    import tensorflow as tf

    found = [*dataset._inputs(), *vars(dataset).values()]
    found = [each for each in found if isinstance(each, tf.data.Dataset)]
    return list({id(each): each for each in found}.values())


def _is_enumerate(dataset):
    inputs = dataset._inputs()
    if "Zip" not in type(dataset).__name__ or len(inputs) != 2:
        return False
    spec = inputs[0].element_spec
    return getattr(spec, "shape", None) == () and spec.dtype.is_integer


def _static(dataset, name):
    """The value of an attribute that is a constant tensor, or None."""
    import tensorflow as tf

    value = getattr(dataset, name, None)
    return None if value is None else tf.get_static_value(value)


def _has_seed(dataset):
    seeds = [_static(dataset, name) for name in ("_seed", "_seed2")]
    return None not in seeds and any(seeds)


def _is_fixed_shuffle(dataset):
    """Whether a shuffle gives the same order in every epoch and every process."""
    if any(int(each.cardinality()) in (0, 1) for each in dataset._inputs()):
        return True
    if _static(dataset, "_buffer_size") == 1:
        return True
    reshuffles = getattr(dataset, "_reshuffle_each_iteration", True)
    return reshuffles is False and _has_seed(dataset)


def _graph_of(variant):
    """The graph of a dataset tensor, or None for one that has none."""
    import tensorflow as tf

    try:
        graph = tf.raw_ops.DatasetToGraphV2(
            input_dataset=variant, external_state_policy=1
        )
    except tf.errors.OpError:
        return None
    return tf.compat.v1.GraphDef.FromString(graph.numpy())


def _own_attribute(variant, name):
    """A text attribute of the operation that made a dataset tensor."""
    graph = _graph_of(variant)
    if graph is None:
        return None
    nodes = {node.name: node for node in graph.node}
    (last,) = (node for node in graph.node if node.op == "_Retval")
    return nodes[last.input[0].split(":")[0]].attr[name].s.decode()


def _bodies(graph):
    """The nodes of a graph, then those of each of its functions."""
    return [list(graph.node), *(list(one.node_def) for one in graph.library.function)]


def _change_of_node(node, constants, lives_on, repeats):
    def value(position):
        import tensorflow as tf

        constant = constants.get(node.input[position].split(":")[0])
        return (
            None if constant is None else tf.make_ndarray(constant.attr["value"].tensor)
        )

    def seeded(first):  # seeds that a function computes are not 0 both
        return not (value(first) == 0 == value(first + 1))

    if "Dataset" not in node.op:
        return None
    if "ShuffleAndRepeat" in node.op or node.op == "ShuffleDatasetV2":
        return _SHUFFLE
    if "Shuffle" in node.op:
        moves = lives_on and node.attr["reshuffle_each_iteration"].b
        return _SHUFFLE if moves or not seeded(2) else None
    if node.op.startswith("RandomDataset"):
        moves = node.attr["rerandomize_each_iteration"].b
        return _RANDOM if moves or not seeded(0) else None
    if node.op.startswith("RepeatDataset") and repeats:
        return None if value(1) in (0, 1) else _REPEAT
    if "DataService" in node.op:
        return _SERVICE
    return _PARALLEL if node.attr["deterministic"].s == b"false" else None


def _is_random(node):
    """Whether a node draws numbers that no seed fixes."""
    if node.op.startswith(("RngReadAndSkip", "Stateful")):
        return "Partitioned" not in node.op
    seeds = [node.attr[name].i for name in ("seed", "seed2") if name in node.attr]
    return len(seeds) == 2 and not any(seeds)
