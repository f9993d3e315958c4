"""What such a server answers when it refuses."""

from collections.abc import Mapping


class ApiError(Exception):
    """An answer that is an error: status, JSON body and headers. `as_list` is how Gemini's endpoint says it."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
        as_list: bool = False,
    ) -> None:
        super().__init__(f"{status} {code or kind}")
        self.status = status
        self.headers = dict(headers or {})
        error = {"message": message, "type": kind, "param": param, "code": code}
        self.body: object = [{"error": error}] if as_list else {"error": error}


def invalid(message: str, *, param: str | None = None, code: str | None = None) -> ApiError:
    return ApiError(400, message, param=param, code=code)


def bad_key() -> ApiError:
    return ApiError(401, "Incorrect API key provided.", code="invalid_api_key")


def unknown_model(model: str) -> ApiError:
    text = f"The model `{model}` does not exist or you do not have access to it."
    return ApiError(404, text, code="model_not_found")


def rate_limited(headers: Mapping[str, str]) -> ApiError:
    text = "Rate limit reached for requests per minute. Please try again later."
    return ApiError(429, text, kind="requests", code="rate_limit_exceeded", headers=headers)


def no_money() -> ApiError:
    text = "You exceeded your current quota, please check your plan and billing details."
    return ApiError(429, text, kind="insufficient_quota", code="insufficient_quota")


def server_error(status: int, *, as_list: bool = False) -> ApiError:
    text = "The server had an error while processing your request. Sorry about that!"
    return ApiError(status, text, kind="server_error", as_list=as_list)
