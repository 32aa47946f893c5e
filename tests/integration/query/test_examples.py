"""Every example of docs/query-examples.md runs; grammar examples are valid queries."""

import asyncio
import re
import shutil
from pathlib import Path

import pytest

from query.language.parser import parse_query
from query.language.terms import Context
from tests.integration.query.test_search import record
from tests.support.querying import make_token

DOCS = Path(__file__).parents[3] / "docs"
BLOCKS = re.findall(r"```sh\n(.*?)```", (DOCS / "query-examples.md").read_text(), re.DOTALL)
COMMANDS = [
    command
    for block in BLOCKS
    for command in re.split(r"\n(?=curl)", block.replace("\\\n", " ").strip())
    if command.startswith("curl")
]
TABLE = re.findall(r"^\| `(.+?)` \|", (DOCS / "query-language.md").read_text(), re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda text: text[:70])
async def test_examples_run(store, server, command):
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    await store.put(record(1, actor_id="u-42"))
    if "-X DELETE" in command:
        await (
            await server.client.post(
                "/api/v1/ingest/keys",
                json={"name": "shop"},
                headers={"Authorization": f"Bearer {server.token}"},
            )
        ).read()
    process = await asyncio.create_subprocess_shell(
        command.replace("curl ", "curl --fail-with-body "),
        env={
            "PATH": "/usr/bin:/bin:/usr/local/bin",
            "OPSLOG": str(server.client.make_url("")).rstrip("/"),
            "TOKEN": make_token("ADMIN"),
            "ADMIN_TOKEN": make_token("SUPER_ADMIN"),
        },
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 30)

    # 28: --max-time ended a live tail
    assert process.returncode in ({28} if "tail" in command else {0}), output


def test_the_examples_of_the_language_are_queries():
    examples = [
        text.replace("\\|", "|") for text in TABLE if text[0] not in "acdijkmrst" or ":" in text
    ]

    assert len(examples) > 8
    for example in examples:
        parse_query(example, Context(0, lambda _, value: value))
