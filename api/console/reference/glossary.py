"""Screen of the glossary: the codes that pages show, with what they mean."""

from typing import Annotated

from starlette.responses import Response

from api.console.access import Viewer, opens
from api.console.frame import console_router, page
from infra.explanations.codes import codes

router = console_router()


@router.get("/glossary")
def glossary_page(viewer: Annotated[Viewer, opens()]) -> Response:
    """Return all codes with their names and explanations."""
    return page(viewer, "glossary.html", kinds=codes())
