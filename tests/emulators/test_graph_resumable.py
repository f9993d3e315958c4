"""Resumable uploads: a session, the bytes in one or more parts, a handle at the end."""

import pytest

from emulators.graph_side import TOKEN, GraphClient

DATA = b"\xff\xd8\xff" + bytes(100)


async def begin(graph: GraphClient, **changes: str) -> tuple[int, dict]:
    query = {"file_name": "banner.jpg", "file_length": str(len(DATA)), "file_type": "image/jpeg", **changes}
    path = "&".join(f"{name}={value}" for name, value in query.items())
    return await graph.graph("POST", f"/v24.0/{graph.app_id}/uploads?{path}")


async def put(graph: GraphClient, session: str, data: bytes, offset: int, scheme: str = "OAuth") -> tuple[int, dict]:
    headers = {"Authorization": f"{scheme} {TOKEN}", "file_offset": str(offset)}
    async with graph.session.post(f"{graph.url}/v24.0/{session}", headers=headers, data=data) as answer:
        return answer.status, await answer.json()


async def test_a_file_in_one_part_gives_its_handle(graph: GraphClient) -> None:
    status, started = await begin(graph)
    assert (status, started["id"].startswith("upload:")) == (200, True)
    status, done = await put(graph, started["id"], DATA, 0)
    assert (status, done["h"].startswith("4::")) == (200, True)
    assert [entry["size"] for entry in await graph.entries("sample")] == [len(DATA)]


async def test_a_file_goes_on_where_it_stopped(graph: GraphClient) -> None:
    _, started = await begin(graph)
    assert (await put(graph, started["id"], DATA[:40], 0))[1]["file_offset"] == 40
    assert (await graph.graph("GET", f"/v24.0/{started['id']}"))[1] == {"id": started["id"], "file_offset": 40}
    assert (await put(graph, started["id"], DATA[30:], 30))[0] == 400
    assert (await put(graph, started["id"], DATA[40:], 40))[1]["h"]


async def test_what_is_no_upload_is_refused(graph: GraphClient) -> None:
    for changes in ({"file_type": "image/gif"}, {"file_length": "0"}, {"file_length": "x"}):
        assert (await begin(graph, **changes))[0] == 400
    _, started = await begin(graph)
    assert (await put(graph, started["id"] + "0", DATA, 0))[1]["error"]["error_subcode"] == 33
    assert (await put(graph, started["id"], DATA, 0, "Bearer"))[0] == 401
    assert (await put(graph, started["id"], DATA + b"x", 0))[0] == 400


@pytest.mark.parametrize("edge", ["uploads/x", "nothing"])
async def test_the_app_has_no_other_edges(graph: GraphClient, edge: str) -> None:
    assert (await graph.graph("POST", f"/v24.0/{graph.app_id}/{edge}"))[0] == 400
