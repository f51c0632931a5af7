//! HTML pages that need no other file.

use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:66rem;margin:2rem auto;padding:0 1rem;color:#222}\
    table{border-collapse:collapse;margin:1rem 0}th,td{padding:.25rem .8rem;text-align:right;border-bottom:1px solid #ddd}\
    th:first-child,td:first-child{text-align:left}table.text :is(th,td),:is(th,td).text{text-align:left;vertical-align:top}\
    pre{background:#f5f5f5;padding:1rem;overflow-x:auto}svg{max-width:100%;height:auto}\
    .bad{color:#a40000}.bar{display:flex;width:18rem;height:1rem;background:#eee}.bar i{height:100%}\
    .busy{background:#1f77b4}.starved{background:#c7c7c7}.blocked{background:#ff9f4a}.key i{display:inline-block;\
    width:.8rem;height:.8rem;margin:0 .3rem 0 1rem}";

/// A page with a heading.
pub(crate) fn page(title: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { h1 { (title) } (body) }
        }
    };
    page.into_string()
}

/// A table of numbers with a heading; nothing if it has no rows.
pub(crate) fn table<H: AsRef<str>, R: AsRef<[String]>>(title: &str, heads: &[H], rows: &[R]) -> Markup {
    html! {
        @if !rows.is_empty() {
            h2 { (title) }
            table {
                tr { @for head in heads { th { (head.as_ref()) } } }
                @for row in rows { tr { @for cell in row.as_ref() { td { (cell) } } } }
            }
        }
    }
}

/// A table of names and values.
pub(crate) fn pairs<'a>(lines: impl IntoIterator<Item = (&'a str, &'a str)>) -> Markup {
    html! { table.text { @for (name, value) in lines { tr { th { (name) } td { (value) } } } } }
}
