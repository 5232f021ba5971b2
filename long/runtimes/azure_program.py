"""Serve the functions of a FunctionApp over HTTP, each at its name. Usage: azure_program.py PORT.

It stands in for Azure's worker, which pip cannot install: the working directory's function_app.py
is loaded as the worker loads it, its functions are those that the app has registered.
"""

from __future__ import annotations

import os
import sys
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import azure.functions as func

sys.path.insert(0, os.getcwd())
from function_app import app

FUNCTIONS = {each.get_function_name(): each.get_user_function() for each in app.get_functions()}


class Handler(BaseHTTPRequestHandler):
    """Calls a function."""

    def do_GET(self) -> None:
        """Answer as the function does, or with its error: the worker reports any."""
        request = func.HttpRequest("GET", "/api", body=b"")
        try:
            answer = FUNCTIONS[self.path.strip("/")](request)
            status, body = answer.status_code, answer.get_body()
        except Exception:  # noqa: BLE001 - any error
            status, body = 500, traceback.format_exc().encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
