"""The pages about the API load nothing from elsewhere, and can be switched off."""

import re

import httpx
import msgspec
import pytest

from inbox.main.app import create_app

ADDRESS = re.compile(rb"""(?:src|href)=["']([^"']+)["']""")


@pytest.mark.parametrize("prefix", ["", "/api"])
@pytest.mark.parametrize("page", ["/docs", "/docs/", "/redoc"])
async def test_everything_that_the_page_names_is_served_here(client, prefix, page):
    answer = await client.get(prefix + page, follow_redirects=True)
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    named = [address.decode() for address in ADDRESS.findall(answer.content)]
    assert "openapi.json" in named
    for address in named:
        assert not httpx.URL(address).is_absolute_url
        found = await client.get(str(answer.url.join(address)))
        assert found.status_code == 200
        assert found.content


async def test_the_description_can_be_off(settings, container, metrics):
    off = msgspec.structs.replace(settings, http=msgspec.structs.replace(settings.http, docs=False))
    app = create_app(off, container, metrics)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)  # type: ignore[arg-type]
    async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url="http://inbox") as client:
        for path in ("/docs", "/redoc", "/openapi.json", "/api/docs", "/docs/assets/swagger.js", "/schema"):
            assert (await client.get(path)).status_code == 404
