"""A running service with an administrator, for clients that are programs of their own: Node, a browser."""

from typing import Any

from main.command import call, sign_in

ADMIN, PASSWORD = "ada@example.org", "correct horse battery"
HOST = "grace@example.org"
"""Who invites the others. Nobody else signs in as them, or out."""


class Service:
    """`inbox serve` at `url`."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        token = sign_in(port, HOST, PASSWORD)[1]["access_token"]
        self._admin = {"authorization": f"Bearer {token}"}

    def invite(self, email: str) -> str:
        """The link for a new person."""
        return str(self._made("/admin/invitations", {"email": email})["link"])

    def signs_in(self, email: str, password: str) -> bool:
        return sign_in(self.port, email, password)[0] == 200

    def _made(self, path: str, body: object) -> Any:  # noqa: ANN401 - JSON
        status, answer = call(self.port, "POST", path, body, **self._admin)
        assert status == 200, answer
        return answer
