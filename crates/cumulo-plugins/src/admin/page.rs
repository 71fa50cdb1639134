//! The page that is there when no folder is set: what this server is, and how to get more.

use std::{fmt::Write as _, sync::LazyLock};

use cumulo_core::{api::Api, call::Call, html, reply::Reply};
use http::{HeaderValue, StatusCode, header};
use serde_json::Value;

use super::{Asset, HeaderName};

/// The page has no script, and nothing from elsewhere.
pub(super) const CSP: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; script-src 'none'; object-src 'none'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'",
);
const REFERRER: HeaderName = HeaderName::from_static("referrer-policy");

static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("page.css", include_bytes!("page.css").as_slice()));

/// What the page needs, by its name.
pub(super) fn style(name: &str) -> Option<&'static Asset> {
    (name == "page.css").then(|| &*STYLE)
}

pub(super) fn reply(api: &Api, call: &Call) -> Reply {
    let mut reply = Reply { body: html(api, call).into_bytes(), ..Reply::empty(StatusCode::OK) };
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    reply.headers.insert(header::CONTENT_TYPE, html);
    reply.headers.insert(header::CONTENT_SECURITY_POLICY, CSP);
    reply.headers.insert(REFERRER, HeaderValue::from_static("no-referrer"));
    reply
}

fn html(api: &Api, call: &Call) -> String {
    let settings = &api.settings;
    let url = format!("{}/{}", api.origin(&call.request), api.prefix());
    let facts = [
        ("Name", settings.project_name.as_str()),
        ("Speaks", &format!("Kinto protocol {}", settings.http_api_version)),
        ("Built as", concat!("Cumulo ", env!("CARGO_PKG_VERSION"))),
        ("Address", &format!("{url}/")),
        ("Writable", if settings.readonly { "no, read-only" } else { "yes" }),
    ];
    let facts = facts.iter().fold(String::new(), |mut list, (name, value)| {
        let _ = write!(list, "<dt>{name}</dt><dd>{}</dd>", escape(value));
        list
    });
    let page = include_str!("page.html");
    [
        ("{name}", escape(&settings.project_name)),
        ("{facts}", facts),
        ("{features}", features(api)),
        ("{prefix}", escape(api.prefix())),
        ("{docs}", link(&settings.project_docs, "Documentation")),
        ("{url}", escape(&url)),
    ]
    .iter()
    .fold(page.to_owned(), |page, (place, text)| page.replace(place, text))
}

/// What is switched on, each with a line and a link.
fn features(api: &Api) -> String {
    let mut list = String::new();
    for (name, value) in api.capabilities() {
        let text = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default();
        let name = link(text("url"), &name);
        let _ = write!(list, "<li>{name}<p>{}</p></li>", escape(text("description")));
    }
    list
}

/// A link, if the address is one that a browser should follow.
fn link(url: &str, text: &str) -> String {
    let is_web = ["https://", "http://"].iter().any(|scheme| url.starts_with(scheme));
    if is_web {
        format!("<a href=\"{}\">{}</a>", escape(url), escape(text))
    } else {
        format!("<span>{}</span>", escape(text))
    }
}

/// Text that is no markup, and no place of the page to be filled.
fn escape(text: &str) -> String {
    html::escape(text).replace('{', "&#123;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_can_not_break_out() {
        assert_eq!(escape("<b a='\"'>&{url}"), "&lt;b a=&#39;&quot;&#39;&gt;&amp;&#123;url}");
        assert_eq!(link("javascript:alert(1)", "x"), "<span>x</span>");
        assert_eq!(link("https://e.org/\"", "x"), "<a href=\"https://e.org/&quot;\">x</a>");
    }
}
