"""The Litestar application of the Gemini emulator."""

from typing import Final

from litestar import Litestar
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.response import Response

from inbox.emulators.gemini import control, routes
from inbox.emulators.gemini.config import GeminiConfig
from inbox.emulators.gemini.emulator import GeminiEmulator
from inbox.emulators.gemini.errors import ApiError, too_large
from inbox.emulators.gemini.sending import JSON, AnyRequest, pretty

_TOO_LARGE: Final = 413
_NOT_FOUND: Final = 404


def create_app(config: GeminiConfig) -> Litestar:
    """An emulator with a state of its own. Inject it by base URL; serve it with `inbox.emulators.serving`."""
    emulator = GeminiEmulator(config)

    def provide() -> GeminiEmulator:
        return emulator

    async def close() -> None:
        emulator.ledger.close()

    return Litestar(
        [
            routes.list_models,
            routes.get_model,
            routes.call_method,
            control.health,
            control.list_faults,
            control.add_fault,
            control.clear_faults,
            control.script_length,
            control.add_script,
            control.clear_script,
            control.list_rules,
            control.replace_rules,
            control.ledger,
            control.reset,
        ],
        dependencies={"emulator": Provide(provide, sync_to_thread=False)},
        exception_handlers={HTTPException: _refused},
        request_max_body_size=config.max_body,
        logging_config=None,
        openapi_config=None,
        on_shutdown=[close],
    )


def _refused(_: AnyRequest, error: HTTPException) -> Response[bytes]:
    """What the framework refuses, in the vendor's envelope."""
    if error.status_code == _TOO_LARGE:
        return _envelope(too_large())
    status = "NOT_FOUND" if error.status_code == _NOT_FOUND else "INVALID_ARGUMENT"
    return _envelope(ApiError(error.status_code, status, error.detail))


def _envelope(error: ApiError) -> Response[bytes]:
    return Response(content=pretty(error.body()), status_code=error.code, media_type=JSON)
