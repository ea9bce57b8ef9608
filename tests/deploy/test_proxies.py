"""Proxies as the docs configure them, real ones where they are installed, pass the path of an address on as it came."""

import http.client
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from benchmarks.study_app import StudyApp
from tests.docs.pages import DOCS, blocks

NGINX = """daemon off; pid {folder}/pid; error_log {folder}/log; events {{}} http {{ access_log off;
client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c; uwsgi_temp_path {folder}/d;
scgi_temp_path {folder}/e; {page} }}"""
CADDY = "{{\n admin off\n auto_https off\n}}\n{page}"
CADDY_RUN = ["run", "--adapter", "caddyfile", "--config"]
ON_THE_PAGE = "127.0.0.1:8000"
IDS = ("a%2Fb", "https:%2F%2Flms.example%2F%2Fa%3Fb", "%E8%AF%BE", "a%2520b", "a+b;c", "a%2F..%2Fb", "a%5Cb", "a%2F")


@pytest.mark.parametrize(
    ("program", "language", "site", "here", "config", "arguments", "ids"),
    [
        ("nginx", "nginx", "443 ssl", "127.0.0.1:{port}", NGINX, ["-c"], (*IDS, "https://lms.example//a")),
        ("caddy", "text", "example.org", "http://127.0.0.1:{port}", CADDY, CADDY_RUN, IDS),
    ],
)  # fmt: skip
def test_a_proxy_of_the_docs_strips_its_prefix_and_changes_no_id(
    tmp_path: Path, program: str, language: str, site: str, here: str, config: str, arguments: list[str], ids: list[str]
) -> None:
    executable = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin")
    if executable is None:
        pytest.skip(f"{program} is not installed")
    [page] = [
        block.text
        for block in blocks(DOCS / "how-to" / "serve-lists.md")
        if block.language == language and ON_THE_PAGE in block.text
    ]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with StudyApp() as service:
        page = page.replace(site, here.format(port=port)).replace(ON_THE_PAGE, f"127.0.0.1:{service.port}")
        (tmp_path / "config").write_text(config.format(folder=tmp_path, page=page))
        with subprocess.Popen([executable, *arguments, tmp_path / "config"], env={"HOME": str(tmp_path)}) as process:
            try:
                while True:
                    try:
                        client = http.client.HTTPConnection("127.0.0.1", port)
                        client.connect()
                        break
                    except ConnectionRefusedError:
                        assert process.poll() is None
                        time.sleep(0.05)
                for item_id in ids:
                    client.request("GET", f"/xuelu/v1/items/{item_id}?a=%2F")
                    client.getresponse().read()
                client.close()
            finally:
                process.terminate()

    assert [push.path for push in service.seen] == [f"/v1/items/{item_id}?a=%2F" for item_id in ids]
