"""Pages that a class is given: one HTML file each, without any script, and nothing comes from outside."""

LOOK = (
    ":root{color-scheme:light dark}"
    "body{font:16px/1.5 sans-serif;max-width:46em;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.4em .6em;"
    "border-bottom:1px solid #767676}td:nth-child(2){white-space:nowrap}"
    "td:last-child,li,code{overflow-wrap:anywhere}"
)
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(title: str, body: str, style: str = "") -> str:
    """A page; `title` and `body` are HTML in which others' text is escaped. `style` is added to LOOK."""
    return (
        "<!DOCTYPE html><html lang='en'><head><meta charset='utf-8'>"
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        "<meta name='viewport' content='width=device-width'>"
        f"<title>{title}</title><style>{LOOK}{style}</style></head><body><h1>{title}</h1>{body}</body></html>\n"
    )


def stacked(widths: str) -> str:
    """Style by which, on a phone, as many columns of a table as `widths` has stand in a line, and the others
    below them."""
    return (
        f"@media(max-width:40em){{tr{{display:grid;grid-template-columns:{widths};"
        "border-bottom:1px solid #767676}"
        "th,td{border:0;padding:.2em;overflow-wrap:anywhere;font-size:.85em}td:empty{display:none}"
        f":is(th,td):nth-child(n+{len(widths.split()) + 1}){{grid-column:1/-1}}}}"
    )
