"""What the site has beside the pages: `mkdocs.yml` calls this when the site is built.

Files of the repository that pages link to become pages of the site; every public name of Python is
listed from its docstring; and the gallery is made by real runs.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import gridcnn
from docs.gallery import SHOWN, make_gallery

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
_PAGES = {
    "../README.md": "readme.md",
    "../CHANGELOG.md": "changelog.md",
    "../CONTRIBUTING.md": "contributing.md",
    "../benchmarks/results.md": "benchmarks.md",
    "../benchmarks/results-avx512.md": "benchmarks-avx512.md",
}
"""Links of pages to files beside them, and what these are called on the site."""
_LIVE = """Try it here:

<iframe src="gallery/xo-app.html" title="X or O, live" width="100%" height="640"></iframe>"""
"""The page that the tutorial makes, on the site."""
_LOADS = re.compile(
    r"<(?:script|img|iframe|audio|video|source)\b[^>]*\bsrc=[\"']?(https?:[^\"'> ]+)"
    r"|<link\b(?=[^>]*\brel=[\"']?(?:stylesheet|icon|preload|preconnect))"
    r"[^>]*\bhref=[\"']?(https?:[^\"'> ]+)"
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made here."""
    from mkdocs.structure.files import File

    made = {"names.md": _names(), "gallery.md": _gallery()}
    for link, name in _PAGES.items():
        made[name] = _moved((ROOT / "docs" / link).resolve())
    for name, content in make_gallery().items():
        made[f"gallery/{name}"] = content
    for name, content in made.items():
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Lead links to files beside the pages to the pages that they have become."""
    for link, name in _PAGES.items():
        markdown = markdown.replace(f"]({link}", f"]({name}")
    if page.file.src_uri == "tutorial.md":
        markdown = markdown.replace("## 6. ", f"{_LIVE}\n\n## 6. ")
    # Comments say how the blocks are tested; readers of the site need them even less.
    return re.sub(r"^<!-- .*? -->\n", "", markdown, flags=re.MULTILINE)


def on_post_build(config: MkDocsConfig) -> None:
    """Refuse a site that would fetch anything from elsewhere."""
    for path in Path(config.site_dir).rglob("*.html"):
        found = _LOADS.search(path.read_text("utf-8"))
        if found:
            raise SystemExit(f"{path.name} would fetch {found[1] or found[2]}")


def _moved(path: Path) -> str:
    """Return a page of the repository with its links as they are from the site's pages."""
    text = path.read_text("utf-8")
    folder = path.parent.relative_to(ROOT)

    def lead(match: re.Match[str]) -> str:
        label, target = match[1], match[2]
        if "://" in target or target.startswith("#"):
            return match[0]
        name, _, heading = target.partition("#")
        from_docs = _relative(folder / name)
        anchor = f"#{heading}" if heading else ""
        if f"../{from_docs}" in _PAGES:
            return f"{label}({_PAGES[f'../{from_docs}']}{anchor})"
        if from_docs.startswith("docs/"):
            return f"{label}({from_docs.removeprefix('docs/')}{anchor})"
        return f"`{from_docs}`"  # a file of the repository that is no page

    return re.sub(r"(!?\[[^\]]*\])\(([^)\s]+)\)", lead, text)


def _relative(path: Path) -> str:
    return (ROOT / path).resolve().relative_to(ROOT).as_posix()


def _names() -> str:
    listed = "\n\n".join(f"::: gridcnn.{name}" for name in gridcnn.__all__ if name[0] != "_")
    return (
        "# Names in Python\n\nEverything that `import gridcnn` offers, from its docstrings. "
        "[Python](python.md) shows how these are used.\n\n" + listed + "\n"
    )


def _gallery() -> str:
    lines = [
        "# Gallery\n",
        "Pages that gridcnn made by real runs when this site was built. Each is one file that "
        "loads nothing from elsewhere; save it, and it goes on working.\n",
    ]
    for name, title, about in SHOWN:
        lines.append(f"- [{title}](gallery/{name}){{target=_blank}}: {about}")
    return "\n".join(lines) + "\n"
