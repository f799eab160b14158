"""Kotaemon's settings on a KaaP deployment: upstream's own, with the models and the administrator that are given.

Kotaemon reads this module because THEFLOW_SETTINGS_MODULE names it. It copies models and the administrator into its
database once and never looks again; so that a renewed key or address reaches it, what the database holds under our
names is brought up to date here, before Kotaemon opens it.

Environment: KAAP_CHAT_URL, KAAP_CHAT_MODEL, KAAP_CHAT_CONTEXT (tokens), KAAP_CHAT_TIMEOUT (seconds),
KAAP_EMBEDDING_URL, KAAP_EMBEDDING_MODEL, KAAP_EMBEDDING_TIMEOUT (seconds), KAAP_RERANKER_URL (may be empty),
KAAP_MODELS_KEY, and upstream's own KH_* variables.
"""

import hashlib
import json
import os
import sqlite3
from pathlib import Path

import flowsettings
from flowsettings import *  # noqa: F403  (what is not set here is upstream's)

NAME = "kaap"  # of each of our models in Kotaemon's lists


def models(env):
    """The model pools that Kotaemon starts with.

    :param env: the environment, text to text.
    :returns: chat models, embedding models and rerankers, in Kotaemon's own form.
    :raises KeyError: when a variable is missing.
    """
    chat = {
        "__type__": "kotaemon.llms.ChatOpenAI",
        "base_url": env["KAAP_CHAT_URL"],
        "model": env["KAAP_CHAT_MODEL"],
        "api_key": env["KAAP_MODELS_KEY"],
        "temperature": 0,
        "timeout": int(env["KAAP_CHAT_TIMEOUT"]),
    }
    embedding = {
        "__type__": "kotaemon.embeddings.OpenAIEmbeddings",
        "base_url": env["KAAP_EMBEDDING_URL"],
        "model": env["KAAP_EMBEDDING_MODEL"],
        "api_key": env["KAAP_MODELS_KEY"],
        "timeout": int(env["KAAP_EMBEDDING_TIMEOUT"]),
    }
    reranker = {"__type__": "kotaemon.rerankings.TeiFastReranking", "endpoint_url": env["KAAP_RERANKER_URL"]}
    return (
        {NAME: {"spec": chat, "default": True}},
        {NAME: {"spec": embedding, "default": True}},
        {NAME: {"spec": reranker, "default": True}} if env["KAAP_RERANKER_URL"] else {},
    )


def bring_up_to_date(database, pools, admin, password):
    """Write our models' present settings and the administrator's password over those in the database.

    :param database: path of Kotaemon's SQLite file; nothing is done before there is one.
    :param pools: table to models, as Kotaemon's settings have them.
    :param admin: name of the first account.
    :param password: its password; Kotaemon stores the SHA-256 of it.
    """
    if not Path(database).is_file():
        return
    with sqlite3.connect(str(database)) as connection:
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        for table, pool in pools.items():
            if table not in tables:
                continue
            for name, model in pool.items():
                # Table names are this module's own, below.
                connection.execute(
                    f'UPDATE "{table}" SET spec = ? WHERE name = ?',  # noqa: S608
                    (json.dumps(model["spec"]), name),
                )
        if "user" in tables:
            connection.execute(
                'UPDATE "user" SET password = ?, admin = 1 WHERE username_lower = ?',
                (hashlib.sha256(password.encode()).hexdigest(), admin.lower()),
            )
    connection.close()


KH_LLMS, KH_EMBEDDINGS, KH_RERANKINGS = models(os.environ)
# Upstream's graph indices want models of their own, with keys of their own.
KH_INDEX_TYPES = ["ktem.index.file.FileIndex"]
KH_INDICES = [index for index in flowsettings.KH_INDICES if index["index_type"] in KH_INDEX_TYPES]
SETTINGS_REASONING = {
    **flowsettings.SETTINGS_REASONING,
    "max_context_length": {
        **flowsettings.SETTINGS_REASONING["max_context_length"],
        "value": int(os.environ["KAAP_CHAT_CONTEXT"]),
    },
}
# With a version it asks GitHub for its change log when it starts.
KH_APP_VERSION = ""

bring_up_to_date(
    Path(flowsettings.KH_USER_DATA_DIR) / "sql.db",
    {"llm_table": KH_LLMS, "embedding": KH_EMBEDDINGS, "reranking": KH_RERANKINGS},
    flowsettings.KH_FEATURE_USER_MANAGEMENT_ADMIN,
    flowsettings.KH_FEATURE_USER_MANAGEMENT_PASSWORD,
)
