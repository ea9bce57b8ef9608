"""Screen of the list for a role and an industry: what a member would find there who has not studied anything yet."""

from typing import Annotated, Any

import orjson
from fastapi import Query
from starlette.responses import Response

from api.console.access import ListViewer
from api.console.frame import code_name, console_router, locale_of, page
from api.console.lists.member import LENGTH
from api.schemas.queries import NO_NUL
from infra.catalog import organisations
from infra.serving import anonymous_lists
from infra.serving.anonymous_lists import Profile
from infra.serving.list_json import ListRequest

router = console_router()
Code = Annotated[str, Query(max_length=100, pattern=NO_NUL)]


@router.get("/preview")
def preview_page(viewer: ListViewer, role: Code = "", industry: Code = "") -> Response:
    """Return the list for a role and an industry; without either that of members of whom nothing is known."""
    session, key, language = viewer.session, viewer.organisation_key, locale_of(viewer.request)
    codes = {"role": role.strip(), "industry": industry.strip()}
    profile = Profile(codes["role"] or None, codes["industry"] or None)
    shown: dict[str, Any] = orjson.loads(
        anonymous_lists.anonymous_list(session, key, profile, ListRequest(LENGTH, viewer.now, language))
    )
    taxonomies = organisations.taxonomies(session, key)
    names = {kind: code_name(taxonomies[kind], code, language) for kind, code in codes.items()}
    return page(viewer, "preview.html", codes=codes, names=names, shown=shown)
