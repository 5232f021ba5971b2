"""Call the functions of a FunctionApp. It stands in for Azure's worker, which pip cannot install.

The folder's function_app.py is loaded as the worker loads it, its functions are those that the app
has registered. Each line of standard input is one HTTP request for the function that it names, each
line of standard output the answer.
"""

from __future__ import annotations

import json
import os
import sys
import traceback

import azure.functions as func


def say(content: object) -> None:
    """Write a line."""
    sys.stdout.write(json.dumps(content) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Load the app of the working directory and serve."""
    sys.path.insert(0, os.getcwd())
    from function_app import app

    functions = {each.get_function_name(): each.get_user_function() for each in app.get_functions()}
    say(sorted(functions))
    for line in sys.stdin:
        request = func.HttpRequest("GET", "/api", body=b"")
        try:
            answer = functions[json.loads(line)](request)
            reply = [answer.status_code != 200, answer.get_body().decode()]
        except Exception:  # noqa: BLE001 - the worker reports any
            reply = [True, traceback.format_exc()]
        say(reply)


if __name__ == "__main__":
    main()
