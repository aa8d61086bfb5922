"""Package attributes that are imported when they are first used."""

import importlib


def lazy_names(package, homes):
    """`__getattr__`, `__dir__` and `__all__` of a package with lazy attributes.

    Args:
        package: Name of the package, its `__name__`.
        homes: Dict of public names to the modules that define them, relative to the
            package; a name that is its own module's stands for the module.

    Returns:
        Tuple of the three.
    """
    names = sorted(homes)

    def get(name):
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = importlib.import_module(f"{package}.{homes[name]}")
        return module if homes[name].split(".")[-1] == name else getattr(module, name)

    return get, lambda: names, names
