"""Who asks: the key of a caller, and that of the admin."""

from __future__ import annotations

import hmac
from typing import Annotated, Final

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from serve.http.service import service_of
from taxonomy.errors import NotAllowed

_CALLER: Final = HTTPBearer(
    auto_error=False,
    scheme_name="CallerKey",
    description="Callers with keys of their own take turns, however much each sends. Any key will do, and none.",
)
_ADMIN: Final = HTTPBearer(
    auto_error=False, scheme_name="AdminKey", description="What ROUTE_FEEDBACK_ADMIN_KEY is set to at the service."
)
Credentials = HTTPAuthorizationCredentials | None


async def caller_key(given: Annotated[Credentials, Depends(_CALLER)]) -> str:
    """The caller's key; empty for all who send none."""
    return given.credentials if given else ""


async def check_admin_key(request: Request, given: Annotated[Credentials, Depends(_ADMIN)]) -> None:
    """Raises NotAllowed."""
    key = service_of(request).admin.key
    if key is None:
        raise NotAllowed("no admin key is set, so nobody may do this; set ROUTE_FEEDBACK_ADMIN_KEY")
    credentials = given.credentials if given else ""
    # Compared in a time that says nothing of where they differ.
    if not hmac.compare_digest(credentials.encode(), key.get_secret_value().encode()):
        raise NotAllowed("this takes the admin key: Authorization: Bearer ...")


CallerKey = Annotated[str, Depends(caller_key)]
