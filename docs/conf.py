"""Settings of the documentation: Sphinx with MyST and furo."""

from __future__ import annotations

from importlib.metadata import metadata, version as version_of
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from sphinx.application import Sphinx

project = "betfair_session"
author = "the betfair_session authors"
version = release = version_of("betfair-session")
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.extlinks",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
_urls = dict(url.split(", ", 1) for url in metadata("betfair-session").get_all("Project-URL") or ())
_repository = _urls["Repository"]
extlinks = {"repo": (f"{_repository}/blob/main/%s", "%s")}
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "betfair_session"
html_show_copyright = False  # the licence says it
html_static_path = ["static"]
html_css_files = ["pages.css"]
myst_heading_anchors = 4
copybutton_prompt_text = "$ "
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_numpy_docstring = False
napoleon_use_ivar = True

# What nobody makes by calling the class.
_NOT_CALLED = ("Certificate", "FileSystem", "Session", "TokenStore")

# Pages that stand at the root as well, where their links are by file.
_PAGES = {"backends.md": "stores.md", "SECURITY.md": "security.md"}


def setup(app: Sphinx) -> None:
    """Lead the links of included files to pages or the repository; leave out what is not public."""

    def lead(_app: Sphinx, _path: Path, _parent: str, content: list[str]) -> None:
        for file, page in _PAGES.items():
            content[0] = content[0].replace(f"]({file}", f"]({page}")
        content[0] = content[0].replace("](benchmarks/", f"]({_repository}/blob/main/benchmarks/")

    def skip(
        _app: Sphinx,
        _what: str,
        name: str,
        member: object,
        _skip: bool,
        _options: object,
    ) -> bool | None:
        # A field of a NamedTuple, which the class's own text describes; a hook for forks.
        hidden = type(member).__name__ == "_tuplegetter" or name == "after_fork"
        return True if hidden else None

    def sign(
        _app: Sphinx,
        _what: str,
        name: str,
        _object: object,
        _options: object,
        signature: str | None,
        returned: str | None,
    ) -> tuple[str | None, str | None]:
        hidden = name.removeprefix("betfair_session.") in _NOT_CALLED
        return ("", None) if hidden else (signature, returned)

    app.connect("autodoc-process-signature", sign)
    app.connect("include-read", lead)
    app.connect("autodoc-skip-member", skip)
