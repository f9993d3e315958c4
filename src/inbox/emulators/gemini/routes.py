"""The public surface: `v1beta/models` and the methods behind the colon (`models/{model}:{method}`)."""

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.types import ASGIApp

from inbox.emulators.gemini.emulator import GeminiEmulator
from inbox.emulators.gemini.exchange import Exchange
from inbox.emulators.gemini.sending import AnyRequest


@get("/v1beta/models")
async def list_models(request: AnyRequest, emulator: NamedDependency[GeminiEmulator]) -> ASGIApp:
    return await Exchange(emulator, request, "", "models.list").answer()


@get("/v1beta/models/{model:str}")
async def get_model(request: AnyRequest, model: FromPath[str], emulator: NamedDependency[GeminiEmulator]) -> ASGIApp:
    return await Exchange(emulator, request, model, "models.get").answer()


@post("/v1beta/models/{model:str}", status_code=200)
async def call_method(request: AnyRequest, model: FromPath[str], emulator: NamedDependency[GeminiEmulator]) -> ASGIApp:
    """The last path segment is the model's id, a colon, and the method's name."""
    name, _, method = model.partition(":")
    return await Exchange(emulator, request, name, method).answer()
