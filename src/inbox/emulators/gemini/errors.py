"""What the API answers when it refuses: `google.rpc.Status` in JSON, with the texts that the vendor uses."""

from collections.abc import Sequence

Violation = tuple[str, str]  # (field path, or "" at the top level; description)

_RATE_LIMITS = "https://ai.google.dev/gemini-api/docs/rate-limits"
_QUOTA = "You exceeded your current quota, please check your plan and billing details."
_QUOTA_HELP = f"{_QUOTA} For more information on this error, head to: {_RATE_LIMITS}."


class ApiError(Exception):
    """An answer that is an error: the HTTP status and the JSON body.

    `as_list` wraps the body in a one-element list, as some front ends of the vendor do.
    """

    def __init__(
        self, code: int, status: str, message: str, details: Sequence[object] = (), *, as_list: bool = False
    ) -> None:
        super().__init__(f"{code} {status}")
        self.code = code
        self.status = status
        self.message = message
        self.details = list(details)
        self.as_list = as_list

    def body(self) -> dict[str, object] | list[dict[str, object]]:
        error: dict[str, object] = {"code": self.code, "message": self.message, "status": self.status}
        if self.details:
            error["details"] = self.details
        return [{"error": error}] if self.as_list else {"error": error}


def invalid(message: str) -> ApiError:
    return ApiError(400, "INVALID_ARGUMENT", message)


def violations(found: Sequence[Violation]) -> ApiError:
    """A body that does not fit the schema: one line and one `fieldViolations` entry for each finding."""
    listed: list[dict[str, str]] = [
        {"field": field, "description": text} if field else {"description": text} for field, text in found
    ]
    detail = {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": listed}
    return ApiError(400, "INVALID_ARGUMENT", "\n".join(text for _, text in found), [detail])


def no_credential() -> ApiError:
    return ApiError(
        403,
        "PERMISSION_DENIED",
        "Method doesn't allow unregistered callers (callers without established identity). "
        "Please use API Key or other form of API consumer identity to call this API.",
    )


def several_credentials() -> ApiError:
    return ApiError(
        400,
        "INVALID_ARGUMENT",
        "Multiple authentication credentials received. Please pass only one.",
        as_list=True,
    )


def unknown_key() -> ApiError:
    text = "API key not valid. Please pass a valid API key."
    return ApiError(
        400,
        "INVALID_ARGUMENT",
        text,
        [
            _error_info("API_KEY_INVALID") | {"domain": "googleapis.com"},
            {"@type": "type.googleapis.com/google.rpc.LocalizedMessage", "locale": "en-US", "message": text},
        ],
    )


def leaked_key() -> ApiError:
    return ApiError(403, "PERMISSION_DENIED", "Your API key was reported as leaked. Please use another API key.")


def wrong_kind_of_credential() -> ApiError:
    return ApiError(
        401,
        "UNAUTHENTICATED",
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other "
        "valid authentication credential.",
        [_error_info("ACCESS_TOKEN_TYPE_UNSUPPORTED")],
    )


def unknown_model(name: str, method: str) -> ApiError:
    return ApiError(
        404,
        "NOT_FOUND",
        f"models/{name} is not found for API version v1beta, or is not supported for {method}. "
        "Call ListModels to see the list of available models and their supported methods.",
    )


def overloaded() -> ApiError:
    return ApiError(503, "UNAVAILABLE", "The model is overloaded. Please try again later.")


def high_demand() -> ApiError:
    return ApiError(
        503,
        "UNAVAILABLE",
        "This model is currently experiencing high demand. Spikes in demand are usually temporary. "
        "Please try again later.",
    )


def internal() -> ApiError:
    return ApiError(
        500,
        "INTERNAL",
        "An internal error has occurred. Please retry or report in "
        "https://developers.generativeai.google/guide/troubleshooting",
    )


def deadline() -> ApiError:
    return ApiError(504, "DEADLINE_EXCEEDED", "Deadline expired before operation could complete.")


def too_large() -> ApiError:
    return ApiError(413, "INVALID_ARGUMENT", "Request payload size exceeds the limit.")


def per_minute(model: str, delay_s: float) -> ApiError:
    """429 of the requests-per-minute quota, with RetryInfo. `delay_s` in seconds."""
    metric = "generativelanguage.googleapis.com/generate_content_free_tier_requests"
    return ApiError(
        429,
        "RESOURCE_EXHAUSTED",
        f"{_QUOTA_HELP}\n* Quota exceeded for metric: {metric}, limit: 15, model: {model}\n"
        f"Please retry in {delay_s:g}s.",
        [
            _help(),
            _quota(metric, "GenerateRequestsPerMinutePerProjectPerModel-FreeTier", model, "15"),
            _retry(f"{delay_s:g}s"),
        ],
    )


def per_day(model: str) -> ApiError:
    metric = "generativelanguage.googleapis.com/generate_requests_per_model_per_day"
    return ApiError(
        429,
        "RESOURCE_EXHAUSTED",
        _QUOTA,
        [_quota(metric, "GenerateRequestsPerDayPerProjectPerModel", model, "10000"), _retry("38211s")],
    )


def no_quota(model: str) -> ApiError:
    """429 with `limit: 0`: the model is not offered on this tier at all; waiting does not help."""
    metric = "generativelanguage.googleapis.com/generate_content_free_tier_requests"
    return ApiError(
        429,
        "RESOURCE_EXHAUSTED",
        f"{_QUOTA_HELP}\n* Quota exceeded for metric: {metric}, limit: 0, model: {model}\nPlease retry in 21.48s.",
        [
            _help(),
            _quota(metric, "GenerateRequestsPerMinutePerProjectPerModel-FreeTier", model, ""),
            _retry("21s"),
        ],
    )


def _error_info(reason: str) -> dict[str, object]:
    return {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason,
        "metadata": {"service": "generativelanguage.googleapis.com"},
    }


def _help() -> dict[str, object]:
    link = {"description": "Learn more about Gemini API quotas", "url": _RATE_LIMITS}
    return {"@type": "type.googleapis.com/google.rpc.Help", "links": [link]}


def _quota(metric: str, quota: str, model: str, value: str) -> dict[str, object]:
    violation: dict[str, object] = {
        "quotaMetric": metric,
        "quotaId": quota,
        "quotaDimensions": {"location": "global", "model": model},
    }
    if value:
        violation["quotaValue"] = value
    return {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]}


def _retry(delay: str) -> dict[str, object]:
    return {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}
