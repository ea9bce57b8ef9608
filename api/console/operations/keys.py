"""Screen of API keys: made with scopes, shown once, revoked."""

import re
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final

from starlette.responses import Response

from api.console.access import Administrator, Viewer
from api.console.catalogue.forms import refusal_of
from api.console.frame import console_router, page, redirected
from api.errors import MalformedBodyError, RefusedFormError
from infra.access import api_keys
from infra.errors import SettingsError
from infra.settings.settings import MAX_KEY_DAYS

USUAL_DAYS: Final = "365"
KEY_ID: Final = re.compile("[0-9a-f]{12}")
"""Id of the key that a form makes: however often it is sent, it makes one."""
DAYS: Final = re.compile("[0-9]{1,4}")
SCOPE: Final = "scope."
"""Beginning of the fields of scopes."""

router = console_router()


@router.get("/keys")
def keys_page(viewer: Administrator) -> Response:
    """Return the organisation's keys, and the form that makes one."""
    return _page(viewer, fields={"days": USUAL_DAYS})


@router.post("/keys")
def create_key(viewer: Administrator) -> Response:
    """Make a key, and return the page that shows it: this once."""
    form, now = viewer.form, viewer.now
    name, days = form.get("name", "").strip(), form.get("days", "")
    scopes = sorted(field.removeprefix(SCOPE) for field in form if field.startswith(SCOPE))
    if not DAYS.fullmatch(days) or not 0 < int(days) <= MAX_KEY_DAYS:
        raise _refused(viewer, f"{days[:20]!r} is no number of days; give 1 to {MAX_KEY_DAYS:,}")
    expires_at = now + timedelta(days=int(days))
    try:
        key_id, token = api_keys.create(
            viewer.session,
            viewer.organisation_key,
            name=name,
            scopes=scopes,
            now=now,
            expires_at=expires_at,
            key_id=key_id if KEY_ID.fullmatch(key_id := form.get("key_id", "")) else None,
        )
    except SettingsError as error:
        raise _refused(viewer, str(error)) from error
    viewer.record("keys.create", key_id=key_id, name=name, scopes=scopes)
    return page(viewer, "key.html", key_id=key_id, token=token, scopes=scopes, expires_at=expires_at)


@router.post("/keys/{key_id}/revoke")
def revoke_key(viewer: Administrator, key_id: str) -> Response:
    """Revoke a key; it ends the sessions that were opened with it, this one too where it is its own."""
    api_keys.revoke(viewer.session, viewer.organisation_key, key_id, now=viewer.now)
    viewer.record("keys.revoke", key_id=key_id)
    return redirected(viewer.request, "/console/keys")


def _refused(viewer: Viewer, reason: str) -> RefusedFormError:
    """Return the error that shows the form as it was filled in, with the reason."""
    return RefusedFormError(_page(viewer, fields=viewer.form, **refusal_of(MalformedBodyError(reason))))


def _page(viewer: Viewer, *, fields: Mapping[str, str], status: HTTPStatus = HTTPStatus.OK, **form: Any) -> Response:
    rows = api_keys.list_keys(viewer.session, viewer.organisation_key)
    for row in rows:
        expired = row["expires_at"] is not None and row["expires_at"] <= viewer.now
        row["state"] = "revoked" if row["revoked_at"] else "expired" if expired else "valid"
    shown = {
        "key_id": api_keys.new_id(),
        "rows": rows,
        "scopes": api_keys.SCOPES,
        "longest": MAX_KEY_DAYS,
        "fields": fields,
        "faults": [],
        **form,
    }
    return page(viewer, "keys.html", status=status, **shown)
