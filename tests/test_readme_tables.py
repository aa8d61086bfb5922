"""The tables of losses in README and docs are those that the code gives."""

import importlib.util
import pathlib

import keras
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="Keras on torch computes some float64 in float32, in other digits",
)


@pytest.fixture(scope="module")
def script():
    """The script, in this process; it computes the properties once."""
    path = ROOT / "tools" / "loss_table.py"
    spec = importlib.util.spec_from_file_location("loss_table", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_in_step(script, capsys):
    assert script.main(["--check"]) == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("README", "`q=0.7` in [0, 1]", "`q=0.8` in [0, 1]"),
        ("DOCS", "| `MeanAbsoluteError` | yes |", "| `MeanAbsoluteError` | no |"),
    ],
)
def test_a_change_is_noticed(name, right, wrong, script, tmp_path, capsys, monkeypatch):
    path = getattr(script, name)
    text = path.read_text()
    assert right in text
    copy = tmp_path / path.name
    copy.write_text(text.replace(right, wrong))
    monkeypatch.setattr(script, name, copy)
    assert script.main(["--check"]) == 1
    assert f"{path.name}: run `python tools/loss_table.py`" in capsys.readouterr().out
    assert script.main([]) == 0
    assert copy.read_text() == text


def test_what_is_known_of_the_losses(script):
    # symmetric: Ghosh et al. 2017, Ma et al. 2020; proper: Brier 1950, Amid et al. 2019
    from tfrobustloss import losses

    rows = [line.split(" | ") for line in script.properties(losses)[2:]]
    cells = {row[0].strip("| `"): row for row in rows}
    symmetric = {name for name, row in cells.items() if row[1] == "yes"}
    assert {"MeanAbsoluteError", "NormalizedCrossEntropy", "Unhinged"} < symmetric
    assert not {"CrossEntropy", "GeneralizedCrossEntropy"} & symmetric
    proper = {name for name, row in cells.items() if row[3] == "strictly"}
    assert {"CrossEntropy", "MeanSquaredError", "BiTemperedLogistic"} < proper
    assert not {"MeanAbsoluteError", "GeneralizedCrossEntropy", "Focal"} & proper
