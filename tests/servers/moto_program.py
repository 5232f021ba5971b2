"""Serve S3 with moto, on a port that the system chooses and the first line names.

moto checks whether a condition holds and then writes, so that of two requests at the same moment
both may win (seen once in some hundred races). Amazon's S3 does it in one step; here each request
is answered before the next begins, once all of it has come: its client may be frozen half-way.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from io import BytesIO
from typing import Any

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server
from werkzeug.wsgi import get_input_stream

_server = DomainDispatcherApplication(create_backend_app)
_lock = threading.Lock()


def _one_at_a_time(environment: Any, start: Any) -> Iterable[bytes]:  # noqa: ANN401 - a WSGI application
    environment["wsgi.input"] = BytesIO(get_input_stream(environment).read())
    with _lock:
        return list(_server(environment, start))


if __name__ == "__main__":
    served = make_server(
        "127.0.0.1", 0, _one_at_a_time, threaded=True, request_handler=MotoRequestHandler
    )
    print(f"http://127.0.0.1:{served.port}", flush=True)  # noqa: T201 - it is read
    served.serve_forever()
