"""Serve a directory over sftp. Usage: sftp_program.py PORT DIRECTORY (password: environment).

The first line that it prints names the port, which the system chooses for 0.
"""

from __future__ import annotations

import asyncio
import os
import sys

import asyncssh

USER = "tester"


class _Server(asyncssh.SSHServer):  # type: ignore[misc, unused-ignore] # asyncssh is not followed
    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return username == USER and password == os.environ["SFTP_PASSWORD"]


async def main(port: int, root: str) -> None:
    listener = await asyncssh.listen(
        "127.0.0.1",
        port,
        server_factory=_Server,
        server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
        sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=root),
    )
    print(f"127.0.0.1:{listener.get_port()}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
