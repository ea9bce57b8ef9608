"""Screen that imports lines of items: stored by the function of the API's bulk request, rejects shown line by line."""

from http import HTTPStatus
from typing import Any, Final

from starlette.responses import Response

from api.console.access import Editor, Viewer
from api.console.frame import console_router, page
from api.errors import BodyTooLargeError, RefusedFormError, status_of
from api.routers.crud import BulkRequest
from content_catalog.errors import FileUnreadableError
from content_catalog.schema import ITEMS
from infra.errors import ImportRefusedError

REFUSALS: Final = (BodyTooLargeError, FileUnreadableError, ImportRefusedError)

router = console_router()


@router.get("/items/import")
def import_page(viewer: Editor) -> Response:
    """Return the form that lines of items are pasted into."""
    return _page(viewer)


@router.post("/items/import")
def import_items(viewer: Editor) -> Response:
    """Store the lines of the form, and show those that were not stored; nothing is where too many are bad."""
    text = viewer.form.get("lines", "")
    session, caller, settings = viewer.session, viewer.caller, viewer.local_settings
    try:
        result = BulkRequest(session, viewer.now, settings, (text.encode(), "csv")).upsert(caller, "items")
    except REFUSALS as error:
        rejects = error.errors if isinstance(error, ImportRefusedError) else []
        refused = _page(viewer, status=status_of(error), text=text, fault=str(error), rejects=rejects)
        raise RefusedFormError(refused) from error
    return _page(viewer, result=result, rejects=[reject.model_dump() for reject in result.rejects])


def _page(viewer: Viewer, *, status: HTTPStatus = HTTPStatus.OK, **values: Any) -> Response:
    shown = {"text": "", "fault": None, "result": None, "rejects": [], **values}
    return page(viewer, "items_import.html", status=status, columns=ITEMS.names, **shown)
