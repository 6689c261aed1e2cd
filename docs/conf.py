"""How Sphinx builds the site; called by `build.py`, which gives the language and the folders."""

import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS))

from building.places import BUILD, SOURCE, project  # noqa: E402

project_facts = project()

project = "pixelwise"
author = "The pixelwise authors"
project_copyright = "The pixelwise authors"
version = release = project_facts["version"]

extensions = ["myst_parser", "building.mathml", "building.chrome", "building.figure_words"]
myst_enable_extensions = ["dollarmath", "colon_fence", "deflist", "attrs_inline", "attrs_block"]
myst_heading_anchors = 3
myst_url_schemes = {
    "http": None,
    "https": None,
    "mailto": None,
    "repo": project_facts["source"] + "/blob/main/{{path}}",
}
language = "en"
locale_dirs = [str(BUILD / "locale")]
gettext_compact = False
suppress_warnings = ["toc.empty_glob"]

html_theme = "furo"
html_title = f"pixelwise {version}"
html_static_path = [str(DOCS / "_theme" / "static")]
templates_path = [str(DOCS / "_theme" / "templates")]
html_show_sphinx = False
html_copy_source = False
html_extra_path = [str(SOURCE / "llms.txt")]
html_logo = html_favicon = str(DOCS / "_theme" / "static" / "logo.svg")
html_theme_options = {
    "source_repository": project_facts["source"],
    "source_branch": "main",
    "source_directory": "docs/",
    "top_of_page_buttons": [],
    "light_css_variables": {"font-stack": "var(--site-fonts)"},
    "dark_css_variables": {"font-stack": "var(--site-fonts)"},
}
html_use_index = False
