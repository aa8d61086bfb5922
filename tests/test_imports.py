"""Who may import whom: the table, held against the package's source."""

import ast
import importlib.util
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "tfrobustloss"

EVERYTHING = {"*"}
FRAMEWORKS = {"tensorflow", "jax", "torch"}

# part -> (parts of the package it may import, third-party packages it may import).
# A part is a file or a folder of the package; longer paths override shorter ones.
ALLOWED = {
    "_limits": (set(), {"keras", "numpy"}),
    "_powers": ({"_limits"}, {"keras"}),
    "_tempered": ({"_limits", "_powers"}, {"keras", "numpy"}),
    "_backend": (set(), {"keras", "numpy", *FRAMEWORKS}),
    "_environment": (EVERYTHING, {"keras", "numpy"}),
    "_files": ({"_limits"}, set()),
    "_outputs": (set(), {"keras"}),
    "_settings": (set(), set()),
    "_specs": ({"losses", "data.noise", "_limits"}, {"numpy"}),
    "losses": ({"_limits", "_powers", "_tempered"}, {"keras", "numpy"}),
    "layers": ({"_limits", "_powers", "_tempered"}, {"keras", "numpy"}),
    "data": ({"_limits"}, {"numpy"}),
    "data.augment": ({"_limits"}, {"keras", "numpy"}),
    "data.datasets": ({"_limits"}, {"numpy", "tensorflow", "tensorflow_datasets"}),
    "data.pipelines": ({"_limits"}, {"numpy", "keras", "tensorflow"}),
    "data._pipeline_augment": ({"_limits"}, {"keras", "tensorflow"}),
    "data._pipeline_labels": ({"_limits"}, {"numpy", "tensorflow"}),
    "data._pipeline_sources": ({"_limits"}, {"numpy", "tensorflow"}),
    "data._pipeline_devices": ({"_limits"}, {"tensorflow"}),
    "data._tensor_noise": (set(), {"tensorflow"}),
    "data._image_files": (set(), {"numpy", "tensorflow"}),
    "architectures": ({"layers", "_limits"}, {"keras", "numpy"}),
    "training": (
        {"losses", "data.noise", "_limits", "_backend"},
        {"keras", "numpy"},
    ),
    "search": (
        {"losses", "layers", "_limits", "_outputs", "_backend", "_files"},
        {"keras", "numpy", *FRAMEWORKS},
    ),
    "search._programs_tensorflow": (
        {"search", "_limits"},
        {"keras", "numpy", "tensorflow"},
    ),
    "search._programs_jax": ({"search", "_limits"}, {"keras", "numpy", "jax"}),
    "search.cma": ({"_limits"}, {"numpy", "cma"}),
    "search._project": ({"_limits", "_files"}, {"keras_tuner"}),
    "search._workers": ({"search"}, {"keras_tuner"}),
    "search._service": ({"search"}, {"keras_tuner", "grpc"}),
    "search._shared": ({"search", "_limits"}, {"keras_tuner"}),
    "search._space": ({"_limits"}, {"keras_tuner"}),
    "search.oracle": ({"_limits", "_files"}, {"numpy", "keras", "keras_tuner"}),
    "search.tuner": ({"losses", "_limits"}, {"numpy", "keras", "keras_tuner"}),
    "search._task_data": ({"data", "_limits"}, {"keras", "numpy"}),
    "search._tasks": (
        {"data", "architectures", "_specs", "_limits"},
        {"keras", "numpy"},
    ),
    "search._forms": ({"losses", "presets", "_limits"}, {"numpy"}),
    "search._provenance": ({"_environment", "_files", "_limits", "presets"}, set()),
    "presets": ({"losses", "_limits"}, set()),
    "serving": (
        {"layers", "_tempered", "_outputs", "_files", "_limits"},
        {"keras", "numpy", "tensorflow"},
    ),
    "serving._c_loader": (set(), set()),  # runs where nothing can be imported
    "testing": ({"_limits", "_backend"}, {"keras", "numpy"}),
    "testing._oracles": (set(), {"numpy", "keras_tuner"}),
    "plots": (EVERYTHING, {"keras", "numpy", "matplotlib"}),
    "comparison": (EVERYTHING, {"keras", "numpy"}),
    "cross_validation": ({"architectures", "data", "_limits"}, {"keras", "numpy"}),
    "cli": (EVERYTHING, {"rich", "keras", "numpy"}),
    "__main__": ({"cli"}, set()),
    "": ({"losses", "layers"}, set()),  # tfrobustloss/__init__.py
}
# imported inside functions only, so that they are needed only where they are used
LAZY = {"matplotlib", "sklearn", "tensorflow", "tensorflow_datasets", "jax", "torch"}
# never below these
TOP = ["plots", "comparison", "cli", "__main__"]


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


def imported(tree):
    """Pairs of a full dotted name and whether it is imported with the module."""
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


def rule_of(module):
    """The longest entry of the table that covers a module."""
    part = module
    while part not in ALLOWED and part:
        part = part.rpartition(".")[0]
    return part


def covers(part, module):
    return module == part or module.startswith(part + ".")


def test_every_module_has_a_rule():
    without = [name for name in MODULES if name and rule_of(name) == ""]
    assert not without, f"add {without} to the table of this test"


@pytest.mark.parametrize("module", MODULES)
def test_direction(module):
    part = rule_of(module)
    ours, others = ALLOWED[part]
    top = part.split(".")[0]
    for name, _ in imported(MODULES[module]):
        target = own_module(name)
        if target is None:
            package = name.split(".")[0]
            known = package in sys.stdlib_module_names or package in others
            assert known or (package == "sklearn" and part.startswith("data")), (
                f"{module} may not import {package}"
            )
            continue
        if target == "":
            # the package itself: its version, or a name of another part
            assert ours == EVERYTHING, f"{module} may not import {name}"
            continue
        allowed = ours == EVERYTHING or any(covers(own, target) for own in ours)
        assert allowed or covers(top, target), f"{module} may not import {target}"


@pytest.mark.parametrize("module", MODULES)
def test_nothing_below_imports_the_top(module):
    rank = {name: position for position, name in enumerate(TOP)}
    own = rank.get(module.split(".")[0], -1)
    for name, _ in imported(MODULES[module]):
        target = own_module(name)
        if target:
            assert rank.get(target.split(".")[0], -1) <= own, f"{module} imports {name}"


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


@pytest.mark.parametrize("module", MODULES)
def test_heavy_packages_are_imported_where_they_are_used(module):
    for name, with_module in imported(MODULES[module]):
        if name.split(".")[0] in LAZY:
            assert not with_module, f"{module} imports {name} at its top"


def test_the_scan_sees_what_it_should():
    tree = ast.parse(
        "import tensorflow as tf\n"
        "from tfrobustloss.losses._base import FunctionLoss\n"
        "def f():\n    import matplotlib.pyplot as plt\n"
    )
    assert list(imported(tree)) == [
        ("tensorflow", True),
        ("tfrobustloss.losses._base.FunctionLoss", True),
        ("matplotlib.pyplot", False),
    ]
    assert own_module("tfrobustloss.losses._base.FunctionLoss") == "losses._base"
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


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_what_the_losses_load(backend):
    # on a machine with tensorflow alone, `test_direction` stands for the other two
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    code = (
        f"import sys, keras; {SNAPSHOT}; "
        f"import tfrobustloss.losses, tfrobustloss.layers; {SNAPSHOT}"
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
    before, after = (set(line.split(",")) for line in result.stdout.split())
    assert "tfrobustloss" in after
    assert not (after - before) & (OPTIONAL | FRAMEWORKS)
    assert backend == "tensorflow" or "tensorflow" not in after
