"""The settings module that the chart kotaemon mounts, over a stand-in for upstream's."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sqlite3
import sys
import types
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).parents[2] / "charts/kotaemon/files/kaap_settings.py"
ENVIRONMENT = {
    "KAAP_CHAT_URL": "http://chat/v1",
    "KAAP_CHAT_MODEL": "q",
    "KAAP_CHAT_CONTEXT": "4096",
    "KAAP_CHAT_TIMEOUT": "30",
    "KAAP_EMBEDDING_URL": "http://embedding/v1",
    "KAAP_EMBEDDING_MODEL": "e",
    "KAAP_EMBEDDING_TIMEOUT": "10",
    "KAAP_RERANKER_URL": "http://reranker/rerank",
    "KAAP_MODELS_KEY": "new-key",
}


def load(monkeypatch: pytest.MonkeyPatch, data: Path, **environment: str) -> types.ModuleType:
    """The module as Kotaemon imports it, with its data in ``data``."""
    upstream = types.ModuleType("flowsettings")
    upstream.__dict__.update(
        KH_USER_DATA_DIR=data,
        KH_LLMS={"openai": {}},
        KH_INDICES=[
            {"name": "File Collection", "index_type": "ktem.index.file.FileIndex"},
            {"name": "GraphRAG Collection", "index_type": "ktem.index.file.graph.GraphRAGIndex"},
        ],
        SETTINGS_REASONING={"lang": {"value": "en"}, "max_context_length": {"name": "Length", "value": 32000}},
        KH_FEATURE_USER_MANAGEMENT_ADMIN="Chief",
        KH_FEATURE_USER_MANAGEMENT_PASSWORD="new-password",
        KH_MODE="dev",
    )
    monkeypatch.setitem(sys.modules, "flowsettings", upstream)
    for name, value in {**ENVIRONMENT, **environment}.items():
        monkeypatch.setenv(name, value)
    spec = importlib.util.spec_from_file_location("kaap_settings", SOURCE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Only the cluster's own, each the default."""
    module = load(monkeypatch, tmp_path)
    assert module.KH_LLMS == {
        "kaap": {
            "spec": {
                "__type__": "kotaemon.llms.ChatOpenAI",
                "base_url": "http://chat/v1",
                "model": "q",
                "api_key": "new-key",
                "temperature": 0,
                "timeout": 30,
            },
            "default": True,
        }
    }
    assert module.KH_EMBEDDINGS["kaap"]["spec"]["base_url"] == "http://embedding/v1"
    assert module.KH_RERANKINGS["kaap"]["spec"]["endpoint_url"] == "http://reranker/rerank"


def test_without_reranker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No reranker is no entry, so that upstream's public one does not step in."""
    assert load(monkeypatch, tmp_path, KAAP_RERANKER_URL="").KH_RERANKINGS == {}


def test_the_rest_is_upstreams(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """But no graph index, no version to look up, and the context that the model has."""
    module = load(monkeypatch, tmp_path)
    assert module.KH_MODE == "dev"
    assert [index["name"] for index in module.KH_INDICES] == ["File Collection"]
    assert module.KH_APP_VERSION == ""
    assert module.SETTINGS_REASONING == {
        "lang": {"value": "en"},
        "max_context_length": {"name": "Length", "value": 4096},
    }


def rows(database: Path, statement: str) -> list[Any]:
    """Rows of a query."""
    with sqlite3.connect(database) as connection:
        return connection.execute(statement).fetchall()


def test_renewed_secrets_reach_the_database(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Ours are brought up to date; a model and an account that users made stay as they are."""
    database = tmp_path / "sql.db"
    old = json.dumps({"api_key": "old-key"})
    with sqlite3.connect(database) as connection:
        for table in ("llm_table", "embedding"):
            connection.execute(f'CREATE TABLE {table} (name TEXT PRIMARY KEY, spec JSON, "default" BOOLEAN)')
            connection.executemany(
                f"INSERT INTO {table} VALUES (?, ?, 1)",  # noqa: S608
                [("kaap", old), ("mine", old)],
            )
        connection.execute('CREATE TABLE "user" (id TEXT, username_lower TEXT, password TEXT, admin BOOLEAN)')
        connection.executemany('INSERT INTO "user" VALUES (?, ?, ?, ?)', [("1", "chief", "x", 0), ("2", "ann", "y", 0)])
    load(monkeypatch, tmp_path)
    for table in ("llm_table", "embedding"):
        specs = {name: json.loads(spec)["api_key"] for name, spec in rows(database, f"SELECT name, spec FROM {table}")}  # noqa: S608
        assert specs == {"kaap": "new-key", "mine": "old-key"}
    expected = hashlib.sha256(b"new-password").hexdigest()
    assert rows(database, 'SELECT * FROM "user"') == [("1", "chief", expected, 1), ("2", "ann", "y", 0)]


def test_no_database_is_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Kotaemon makes its own at its first start."""
    load(monkeypatch, tmp_path)
    assert list(tmp_path.iterdir()) == []
