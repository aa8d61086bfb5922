"""The README's tables of losses are those that the code gives."""

import importlib.util
import pathlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "tools" / "loss_table.py"


def script(readme):
    """The script, in this process, on a copy of the README."""
    spec = importlib.util.spec_from_file_location("loss_table", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.README = readme
    return module


def test_in_step(capsys):
    assert script(ROOT / "README.md").main(["--check"]) == 0, capsys.readouterr().out


def test_a_changed_default_is_noticed(tmp_path, capsys):
    readme = (ROOT / "README.md").read_text()
    assert "`q=0.7` in [0, 1]" in readme
    copy = tmp_path / "README.md"
    copy.write_text(readme.replace("`q=0.7` in [0, 1]", "`q=0.8` in [0, 1]"))
    assert script(copy).main(["--check"]) == 1
    assert "run `python tools/loss_table.py`" in capsys.readouterr().out
    assert script(copy).main([]) == 0
    assert copy.read_text() == readme
