"""The README's tables of losses are those that the code gives."""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "tools" / "loss_table.py"


def test_in_step():
    result = subprocess.run(
        [sys.executable, SCRIPT, "--check"], capture_output=True, text=True, cwd=ROOT
    )
    assert result.returncode == 0, result.stdout + result.stderr[-2000:]


def test_a_changed_default_is_noticed(tmp_path):
    (tmp_path / "tools").mkdir()
    copy = tmp_path / "tools" / SCRIPT.name
    copy.write_text(SCRIPT.read_text())
    readme = (ROOT / "README.md").read_text()
    assert "`q=0.7` in [0, 1]" in readme
    changed = readme.replace("`q=0.7` in [0, 1]", "`q=0.8` in [0, 1]")
    (tmp_path / "README.md").write_text(changed)
    check = [sys.executable, copy, "--check"]
    result = subprocess.run(check, capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 1
    assert "run `python tools/loss_table.py`" in result.stdout
    subprocess.run([sys.executable, copy], check=True, capture_output=True, cwd=ROOT)
    assert (tmp_path / "README.md").read_text() == readme
