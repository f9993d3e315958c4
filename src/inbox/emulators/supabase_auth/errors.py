"""Refusals of the gateway and of the auth server, in both body shapes of the latter."""

from collections.abc import Mapping, Sequence


class AuthError(Exception):
    """A refusal by the auth server: HTTP status, code, message (texts as the vendor's).

    `headers` go out with it; `reasons` belong to a weak password.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        headers: Mapping[str, str] | None = None,
        reasons: Sequence[str] = (),
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})
        self.reasons = list(reasons)

    def body(self, *, newer: bool) -> dict[str, object]:
        """The newer shape is `X-Supabase-Api-Version: 2024-01-01`'s."""
        if newer:
            body: dict[str, object] = {"code": self.code, "message": self.message}
        else:
            body = {"code": self.status, "error_code": self.code, "msg": self.message}
        if self.reasons:
            body["weak_password"] = {"reasons": self.reasons}
        return body


class GatewayError(Exception):
    """A refusal before the auth server: always 401, without an error code."""

    status = 401

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def body(self) -> dict[str, object]:
        return {"message": self.message, "hint": self.hint}


def no_api_key() -> GatewayError:
    return GatewayError("No API key found in request", "No `apikey` request header or url param was found.")


def invalid_api_key() -> GatewayError:
    return GatewayError("Invalid API key", "Double check your Supabase `anon` or `service_role` API key.")


def secret_in_browser() -> GatewayError:
    return GatewayError(
        "Forbidden use of secret API key in browser",
        "Secret API keys can only be used in a protected environment and should never be used in a browser.",
    )


def no_authorization() -> AuthError:
    return AuthError(401, "no_authorization", "This endpoint requires a valid Bearer token")


def bad_jwt(why: str) -> AuthError:
    return AuthError(403, "bad_jwt", f"invalid JWT: unable to parse or verify signature, {why}")


def bad_claim(why: str, status: int = 403) -> AuthError:
    return AuthError(status, "bad_jwt", f"invalid claim: {why}")


def not_admin() -> AuthError:
    return AuthError(403, "not_admin", "User not allowed")


def invalid(message: str) -> AuthError:
    return AuthError(400, "validation_failed", message)


def invalid_credentials() -> AuthError:
    return AuthError(400, "invalid_credentials", "Invalid login credentials")


def user_gone() -> AuthError:
    return AuthError(403, "user_not_found", "User from sub claim in JWT does not exist")


def no_such_user() -> AuthError:
    return AuthError(404, "user_not_found", "User not found")


def session_gone() -> AuthError:
    return AuthError(403, "session_not_found", "Session from session_id claim in JWT does not exist")


def banned(status: int, message: str = "User is banned") -> AuthError:
    return AuthError(status, "user_banned", message)


def email_exists() -> AuthError:
    return AuthError(422, "email_exists", "A user with this email address has already been registered")


def weak_password(shortest: int) -> AuthError:
    return AuthError(422, "weak_password", f"Password should be at least {shortest} characters.", reasons=("length",))


def link_expired() -> AuthError:
    return AuthError(403, "otp_expired", "Email link is invalid or has expired")


def unexpected() -> AuthError:
    return AuthError(500, "unexpected_failure", "Unexpected failure, please check server logs for more information")


def timed_out() -> AuthError:
    return AuthError(504, "request_timeout", "Processing this request timed out, please retry after a moment.")
