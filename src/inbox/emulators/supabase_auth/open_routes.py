"""What needs no user: health, settings, public keys."""

from inbox.emulators.supabase_auth.calls import Call, Reply

VERSION = "v2.196.0"
CACHED = {"cache-control": "public, max-age=600"}


async def health(call: Call) -> Reply:  # noqa: ARG001 - every operation takes the call
    description = "GoTrue is a user registration and authentication API"
    return Reply(value={"version": VERSION, "name": "GoTrue", "description": description})


async def settings(call: Call) -> Reply:
    config = call.emulator.config
    return Reply(
        value={
            "external": {"email": config.email_enabled, "phone": False, "anonymous_users": False},
            "disable_signup": config.disable_signup,
            "mailer_autoconfirm": config.autoconfirm,
            "phone_autoconfirm": False,
            "sms_provider": "",
            "saml_enabled": False,
        }
    )


async def jwks(call: Call) -> Reply:
    return Reply(value=call.emulator.keys.jwks(), headers=CACHED)


async def openid_configuration(call: Call) -> Reply:
    return Reply(
        value={
            "issuer": call.issuer,
            "jwks_uri": f"{call.issuer}/.well-known/jwks.json",
            "id_token_signing_alg_values_supported": [call.emulator.config.signing.value],
            "subject_types_supported": ["public"],
        },
        headers=CACHED,
    )
