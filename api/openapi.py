"""The OpenAPI document of the service as a file: ``python -m api.openapi docs/reference/openapi.json``."""

import json
import sys
from pathlib import Path

from api.app import create_app
from infra.settings.settings import Settings


def document() -> str:
    """Return the document as JSON text, the same for the same routes."""
    return f"{json.dumps(create_app(Settings()).openapi(), ensure_ascii=False, indent=1)}\n"


def main(arguments: list[str]) -> int:
    """Write the document to the file that is named; return the exit status."""
    (path,) = arguments
    Path(path).write_text(document(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
