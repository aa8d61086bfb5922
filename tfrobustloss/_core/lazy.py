"""Package attributes that are imported when they are first used."""

import importlib


def lazy_names(package, homes):
    """`__getattr__`, `__dir__` and `__all__` of a package with lazy attributes.

    Args:
        package: Name of the package, its `__name__`.
        homes: Dict of public names to the modules that define them: `".module"`
            inside the package, `"package.module"` outside. A name that ends its
            module's own stands for the module.

    Returns:
        Tuple of the three.
    """

    def get(name):
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = importlib.import_module(homes[name], package)
        is_module = homes[name].rpartition(".")[2] == name
        return module if is_module else getattr(module, name)

    names = sorted(homes)
    return get, lambda: names, names
