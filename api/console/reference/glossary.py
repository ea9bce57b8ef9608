"""Screen of the glossary: the codes that pages show, with what they mean, and those of roles and industries."""

from typing import Annotated, Final

from starlette.responses import Response

from api.console.access import Viewer, opens
from api.console.frame import console_router, language_of, page
from infra.catalog import organisations
from infra.explanations.codes import codes

LEVELS: Final = 2
"""Levels of roles and industries that are listed: all have hundreds of codes."""

router = console_router()


@router.get("/glossary")
def glossary_page(viewer: Annotated[Viewer, opens()]) -> Response:
    """Return all codes with their names and explanations."""
    language = language_of(viewer.request)
    groups = {
        kind: [
            (code, taxonomy.name_of(code, language))
            for code in sorted(taxonomy.table.index, key=taxonomy.path)
            if len(taxonomy.path(code)) <= LEVELS
        ]
        for kind, taxonomy in organisations.taxonomies(viewer.session, viewer.organisation_key).items()
    }
    return page(viewer, "glossary.html", kinds=codes(), groups=groups)
