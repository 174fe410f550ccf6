"""Sphinx's settings for the site; `tools.site.build` gives the rest on the command line."""

extensions = ["myst_nb", "sphinx.ext.githubpages", "tools.site.katex"]

project = "SqueezeNet, squeezed"
html_title = project
author = "the authors of SqueezeNet, squeezed"
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False
language = "en"
smartquotes = False

html_theme = "furo"
pygments_dark_style = "github-dark"
html_static_path = ["_static"]
html_css_files = ["katex.css", "site.css"]
html_js_files = ["explorer.js", "site.js"]
html_math_renderer = "katex"
html_theme_options = {
    "light_css_variables": {
        "color-brand-primary": "#0b5cab",
        "color-brand-content": "#0b5cab",
        "color-brand-visited": "#5a4aa0",
        "font-stack": "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif",
        "font-stack--monospace": "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace",
    },
    "dark_css_variables": {
        "color-brand-primary": "#7db7f0",
        "color-brand-content": "#7db7f0",
        "color-brand-visited": "#b7a6f0",
    },
}

# The notebooks are committed with their outputs; nothing is executed.
nb_execution_mode = "off"
nb_render_markdown_format = "myst"
nb_merge_streams = True
nb_code_prompt_show = "Show the code"
nb_code_prompt_hide = "Hide the code"
myst_enable_extensions = ["dollarmath", "colon_fence", "attrs_block"]
myst_heading_anchors = 3
suppress_warnings = ["myst.header", "mystnb.unknown_mime_type"]
exclude_patterns = ["_static", "extra"]
