"""Screen of a draft of the settings: checked as the service would, compared with what holds, downloaded."""

import json
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from starlette.responses import Response

from api.console.access import Administrator, Viewer
from api.console.frame import console_router, page
from api.console.reference.settings import Setting, shown_settings
from infra.errors import SettingsError
from infra.settings.settings import SECRETS, Settings, read_draft

DOWNLOAD: Final = {"Content-Disposition": 'attachment; filename="xuelu.toml"'}

router = console_router()


class Change(NamedTuple):
    """A setting whose value in the draft is another one."""

    name: str
    now: Setting
    then: Setting


@router.get("/settings/draft")
def draft_page(viewer: Administrator) -> Response:
    """Return the form, filled with the settings that are not the default."""
    return _page(viewer, text=as_toml(viewer.settings))


@router.post("/settings/draft")
def check_draft(viewer: Administrator) -> Response:
    """Return what the draft of the form would change, or the draft as a file."""
    text, settings = viewer.form.get("toml", "").replace("\r\n", "\n"), viewer.settings
    try:
        draft = read_draft(text)
    except SettingsError as error:
        # A secret that was pasted is not sent back.
        shown = "" if any(name.rpartition(".")[2] in text for name in SECRETS) else text
        return _page(viewer, status=HTTPStatus.BAD_REQUEST, text=shown, fault=str(error))
    if viewer.form.get("do") == "download":
        return Response(text, media_type="application/toml", headers=DOWNLOAD)
    relists = draft.digest() != settings.digest()
    return _page(viewer, text=text, changes=changes(settings, draft), relists=relists)


def changes(settings: Settings, draft: Settings) -> list[Change]:
    """Return the shown settings that differ, in their order."""
    return [
        Change(f"{section}.{now.name}".removeprefix("."), now, then)
        for (section, before), (_, after) in zip(shown_settings(settings), shown_settings(draft), strict=True)
        for now, then in zip(before, after, strict=True)
        if now.value != then.value
    ]


def as_toml(settings: Settings) -> str:
    """Return the shown settings that are not the default as the text of a settings file."""
    lines: list[str] = []
    for section, rows in shown_settings(settings):
        changed = [row for row in rows if row.value != row.default and not isinstance(row.value, dict)]
        if changed and section:
            lines += ["", f"[{section}]"]
        # Texts, numbers, flags and lists of these are written alike in JSON and TOML.
        lines += [f"{row.name} = {json.dumps(row.value, ensure_ascii=False)}" for row in changed]
    return "\n".join(lines).strip() + "\n"


def _page(viewer: Viewer, *, text: str, status: HTTPStatus = HTTPStatus.OK, **values: Any) -> Response:
    shown = {"changes": None, "relists": False, "fault": None, **values}
    return page(viewer, "settings_draft.html", status=status, text=text, **shown)
