"""Role of a process, from Keras Tuner's environment variables."""

import os

import pytest

from tfrobustloss.search.tuner import roles


def test_roles(monkeypatch):
    for name in ("TUNER_ID", "ORACLE_IP", "ORACLE_PORT"):
        monkeypatch.setenv(f"KERASTUNER_{name}", "")
        monkeypatch.delenv(f"KERASTUNER_{name}")
    assert roles.role() is None
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "chief")
    monkeypatch.setenv("KERASTUNER_ORACLE_PORT", "8000")
    assert roles.role() == "chief"
    assert os.environ["KERASTUNER_ORACLE_IP"] == "127.0.0.1"
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "worker-1")
    assert roles.role() == "worker"


@pytest.mark.parametrize("port", [None, ""])
def test_a_role_without_a_port(port, monkeypatch):
    monkeypatch.setenv(roles.TUNER, "worker-1")
    monkeypatch.setenv(roles.PORT, port or "")
    if port is None:
        monkeypatch.delenv(roles.PORT)
    with pytest.raises(ValueError, match="KERASTUNER_ORACLE_PORT must be.*worker-1"):
        roles.role()
