"""The documentation site: `make docs`."""

import warnings
from importlib.metadata import version as installed_version
from pathlib import Path

import typer.cli
import typer.main
from matplotlib.figure import Figure
from sphinx_gallery.scrapers import figure_rst

from tabgen.cli import app as tabgen_app

HERE = Path(__file__).parent

project = "tabgen"
author = "the tabgen developers"
copyright = "the tabgen developers, Apache-2.0"  # noqa: A001 - Sphinx's name
release = installed_version("tabgen-bench")
version = ".".join(release.split(".")[:2])

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
# of each example the gallery writes a notebook beside its page, which is no page of its own
exclude_patterns = ["_build", "_generated", "gallery", "examples", "examples_gallery/*.ipynb"]
nb_execution_mode = "force"  # the notebooks are kept without output
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_execution_show_tb = True
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
autodoc_typehints = "description"
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
warnings.filterwarnings("ignore", message=".*FigureCanvasAgg is non-interactive.*")


def figures(_block, block_vars, gallery_conf):
    """The figure that a block of an example ends in, as an image: tabgen's stand outside pyplot."""
    figure = block_vars["example_globals"].get("___")
    if not isinstance(figure, Figure) or "_in_gallery" in vars(figure):
        return ""
    figure._in_gallery = True
    path = next(block_vars["image_path_iterator"])
    figure.savefig(path, dpi=110)
    return figure_rst([path], gallery_conf["src_dir"])


sphinx_gallery_conf = {
    "image_scrapers": (figures,),
    "capture_repr": ("_repr_html_",),
    "examples_dirs": ["gallery"],
    "gallery_dirs": ["examples_gallery"],
    "filename_pattern": r"/.*\.py",
    "download_all_examples": False,
    "show_memory": False,
    "remove_config_comments": True,
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "run_stale_examples": True,
}
suppress_warnings = ["config.cache"]  # a function in the configuration cannot be pickled

html_theme = "furo"
html_title = f"tabgen {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False


def setup(_app):
    """The command line's reference is made from its help, at every build."""
    command = typer.main.get_command(tabgen_app)
    text = typer.cli.get_docs_for_click(obj=command, ctx=typer.Context(command), name="tabgen")
    folder = HERE / "_generated"
    folder.mkdir(exist_ok=True)
    (folder / "cli.md").write_text(text.partition("\n")[2])  # the page has a title of its own
