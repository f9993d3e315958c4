"""A bucket on a server of its own, which speaks S3 over HTTP."""

from collections.abc import Iterator
from http.client import HTTPConnection

import pytest
from moto.server import ThreadedMotoServer

from inbox.adapters.media.obstore import Bucket


@pytest.fixture(scope="session")
def bucket() -> Iterator[Bucket]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    connection = HTTPConnection(host, port)
    connection.request("PUT", "/media")
    assert connection.getresponse().status == 200
    connection.close()
    yield Bucket(
        name="media",
        region="us-east-1",
        access_key_id="a-key",
        secret_access_key="a secret of the bucket",
        endpoint=f"http://{host}:{port}",
    )
    server.stop()
