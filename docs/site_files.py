"""Add files of the repository to the site, under the paths that they have there.

MkDocs sees only `docs/`. Pages link to `../SECURITY.md`, which works where they are read in the
repository; in the site that file lies beside them.
"""

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

_ROOT = Path(__file__).parents[1]
_FILES = (
    *("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "weights.toml"),
    *("benchmarks/README.md", "training/README.md", "tests/reference/README.md"),
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files."""
    for name in _FILES:
        files.append(File.generated(config, name, abs_src_path=str(_ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links out of `docs/` into links within the site."""
    del config, files
    is_ours = page.file.generated_by is None
    return markdown.replace("](../", "](") if is_ours else markdown
