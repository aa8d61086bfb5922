"""Who may import whom: the table, held against the package's source."""

import ast
import functools
import importlib.util
import os
import pathlib
import subprocess
import sys

import keras
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "tfrobustloss"

FRAMEWORKS = {"tensorflow", "jax", "torch"}
ALL = {"*"}

# part -> (parts that it may import, third-party packages that it may import).
# A part is a folder or a file directly in the package.
PARTS = {
    "_core": (set(), {"keras", "numpy", *FRAMEWORKS}),
    "losses": ({"_core"}, {"keras", "numpy"}),
    "layers": ({"losses", "_core"}, {"keras", "numpy"}),
    "metrics": ({"_core"}, {"keras", "numpy"}),
    "architectures": ({"_core"}, {"keras", "numpy"}),
    "data": (
        {"_core"},
        {
            "keras",
            "numpy",
            "scipy",
            "sklearn",
            "tensorflow",
            "tensorflow_datasets",
            "PIL",
            "pyarrow",
        },
    ),
    "training": ({"losses", "data", "_core"}, {"keras", "numpy"}),
    "presets": ({"losses", "_core"}, set()),
    "serving": ({"losses", "layers", "_core"}, {"keras", "numpy", "tensorflow"}),
    "plots": ({"losses", "_core"}, {"keras", "numpy", "matplotlib", "PIL"}),
    "experiments": (
        {"losses", "layers", "data", "architectures", "training", "presets", "_core"},
        {"keras", "numpy", *FRAMEWORKS},
    ),
    "search": (
        {"experiments", "losses", "presets", "_core"},
        {"keras", "numpy", "cma", "keras_tuner", "grpc"},
    ),
    "testing": ({"_core"}, {"keras", "numpy", "keras_tuner"}),
    "cli": (ALL, {"rich", "keras", "numpy"}),
    "__main__": ({"cli"}, set()),
    "": ({"losses", "layers"}, set()),  # tfrobustloss/__init__.py
}
# what only one place may import: a library, or names that it does not promise to keep
ONLY = {
    "cma": {"search.cmaes.strategy"},
    "keras_tuner": {"search.tuner", "testing.oracle_checks"},
    "keras_tuner.src": {"search.tuner.keras_tuner_private"},
    "keras_tuner.engine": {"search.tuner.keras_tuner_private"},
    "grpc": {"search.tuner.service"},
    "keras.src": {"_core.backend"},
}
# imported inside functions only, so that they are needed only where they are used
LAZY = {
    "matplotlib",
    "sklearn",
    "tensorflow",
    "tensorflow_datasets",
    "jax",
    "torch",
    "PIL",
    "pyarrow",
}
OPEN = "_core"  # each of its modules is its own face


def modules():
    """Dict of dotted names below the package to parsed files."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = list(path.relative_to(PACKAGE).with_suffix("").parts)
        if parts[-1] == "__init__":
            parts.pop()
        found[".".join(parts)] = ast.parse(path.read_text(), str(path))
    return found


MODULES = modules()


@functools.cache
def imported(tree):
    """Pairs of a full dotted name and whether it is imported with the module."""
    return list(_imported(tree))


def _imported(tree):
    inside = {
        node
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node not in inside
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute in this package"
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node not in inside


def own_module(name):
    """The module of this package that a dotted name means, or None."""
    head, _, rest = name.partition(".")
    if head != PACKAGE.name:
        return None
    while rest not in MODULES and rest:
        rest = rest.rpartition(".")[0]
    return rest


def part_of(module):
    return module.split(".")[0]


def folder_of(module):
    """The folder that a module lies in; a folder is its own `__init__`."""
    return module if is_folder(module) else module.rpartition(".")[0]


def is_folder(module):
    return (PACKAGE / module.replace(".", "/")).is_dir()


def face(folder):
    """The names that a folder's `__init__` offers: imported, defined or lazy."""
    tree = MODULES[folder]
    names = {name.rpartition(".")[2] for name, _ in imported(tree)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):  # of lazy names to modules
            names |= {key.value for key in node.keys if isinstance(key, ast.Constant)}
        elif isinstance(node, ast.FunctionDef):
            names.add(node.name)
    return {name for name in names if not name.startswith("_")}


def test_every_part_has_a_rule():
    assert {part_of(name) for name in MODULES} == set(PARTS)


def check_direction(module):
    ours, others = PARTS[part_of(module)]
    for name, _ in imported(MODULES[module]):
        target = own_module(name)
        if target is None:
            package = name.split(".")[0]
            known = package in sys.stdlib_module_names or package in others
            assert known, f"{module} may not import {package}"
        elif target == "":
            # its version
            assert module in ("_core.provenance", ""), f"{module} imports {name}"
        elif part_of(target) != part_of(module):
            allowed = ours == ALL or part_of(target) in ours
            assert allowed, f"{module} may not import {target}"


def test_direction():
    for module in MODULES:
        check_direction(module)


def check_faces(module):
    home = folder_of(module)
    for name, _ in imported(MODULES[module]):
        target = own_module(name)
        if not target or part_of(target) == OPEN:
            continue
        folder = folder_of(target)
        own = home == folder or home.startswith(f"{folder}.") or folder == ""
        if own or module == folder:
            continue
        if is_folder(target) and name == f"{PACKAGE.name}.{target}":
            continue  # the folder itself
        place, _, imported_name = name.removeprefix(f"{PACKAGE.name}.").rpartition(".")
        assert place == folder, f"{module} imports {name}, behind a face"
        assert imported_name in face(folder), f"the face of {folder} lacks {name}"


def test_other_folders_are_imported_by_their_face():
    for module in MODULES:
        check_faces(module)


def check_importers(module):
    for name, _ in imported(MODULES[module]):
        for package, homes in ONLY.items():
            if f"{name}.".startswith(f"{package}."):
                assert any(f"{module}.".startswith(f"{home}.") for home in homes), (
                    f"{module} may not import {name}: only {homes} may"
                )


def test_some_packages_have_one_importer():
    for module in MODULES:
        check_importers(module)


def test_no_circles():
    graph = {
        name: {
            target
            for imported_name, _ in imported(tree)
            if (target := own_module(imported_name)) not in (None, "", name)
        }
        for name, tree in MODULES.items()
    }
    # a package may import its own modules, and they their siblings, not the package
    done, path = set(), []

    def visit(name):
        if name in done:
            return
        circle = [*path[path.index(name) :], name] if name in path else []
        assert not circle, " -> ".join(circle)
        path.append(name)
        for target in sorted(graph[name]):
            visit(target)
        path.pop()
        done.add(name)

    for name in graph:
        visit(name)


def check_lazy(module):
    for name, with_module in imported(MODULES[module]):
        if name.split(".")[0] in LAZY:
            assert not with_module, f"{module} imports {name} at its top"


def test_heavy_packages_are_imported_where_they_are_used():
    for module in MODULES:
        check_lazy(module)


def test_the_scan_sees_what_it_should():
    tree = ast.parse(
        "import tensorflow as tf\n"
        "from tfrobustloss.losses.base import FunctionLoss\n"
        "def f():\n    import matplotlib.pyplot as plt\n"
    )
    assert list(imported(tree)) == [
        ("tensorflow", True),
        ("tfrobustloss.losses.base.FunctionLoss", True),
        ("matplotlib.pyplot", False),
    ]
    assert own_module("tfrobustloss.losses.base.FunctionLoss") == "losses.base"
    assert own_module("tfrobustloss.losses.adma") == "losses.adma"
    assert own_module("keras.ops") is None


# --- what an import loads


SNAPSHOT = "print(*{m.split('.')[0] for m in sys.modules}, sep=',')"
OPTIONAL = {
    "keras_tuner",
    "cma",
    "matplotlib",
    "tensorflow_datasets",
    "rich",
    "sklearn",
}


@pytest.mark.numerics  # so that it runs on each backend
def test_what_the_losses_and_the_data_load():
    # on the backend of this run: `.ci/run` runs it on each; `test_direction` holds
    # everywhere that no other is imported
    backend = keras.backend.backend()
    if backend == "tensorflow":  # whose Keras loads TensorFlow first: nothing to see
        backend = "numpy"
        if importlib.util.find_spec("jax") is None:
            pytest.skip("Keras' numpy backend needs JAX; `.ci/run` has it afterwards")
    code = (
        f"import sys, keras; {SNAPSHOT}; "
        f"import tfrobustloss.losses, tfrobustloss.layers; {SNAPSHOT}; "
        f"import tfrobustloss.data; {SNAPSHOT}"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    # Keras itself loads rich, and matplotlib and scikit-learn where it finds them
    before, losses, data = (set(line.split(",")) for line in result.stdout.split())
    assert "tfrobustloss" in losses
    assert not (losses - before) & (OPTIONAL | FRAMEWORKS)
    assert "tensorflow" not in losses
    # nothing beyond Keras and what the losses need: no tensorflow_datasets above all
    assert not data - losses - sys.stdlib_module_names
    assert losses - before - sys.stdlib_module_names == {"tfrobustloss"}
