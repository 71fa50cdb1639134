//! The description as a page of HTML, complete in itself: no scripts, and nothing from elsewhere.
//! Its style is allowed by its digest.

use std::fmt::Write;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    Template,
    model::{Answer, Body, Content, Description, Operation, Parameter, Place, error_of},
};
use crate::{api::Api, html::escape};

const STYLE: &str = include_str!("page.css");

/// What stands after the kind of a value that has to be there.
const REQUIRED: &str = " <i>required</i>";

/// Bodies nest no deeper than this in tables of fields.
const MAX_DEPTH: usize = 4;

/// The `Content-Security-Policy` of the page.
pub(super) fn policy() -> String {
    let digest = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{digest}'; frame-ancestors 'none'; \
         base-uri 'none'; form-action 'none'"
    )
}

/// What stands in the gap: the address in the first example.
pub(super) fn address(api: &Api, origin: &str) -> String {
    escape(&format!("{origin}/{}", api.prefix()))
}

/// The page.
pub(super) fn write(api: &Api, description: &Description) -> Template {
    let title = escape(&api.settings.project_name);
    let version = escape(&api.settings.http_api_version);
    let docs = escape(&api.settings.project_docs);
    let before = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title} API</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<header>\n\
         <h1>{title} <small>API {version}</small></h1>\n\
         <p>JSON records, synced and shared. The same for programs: \
         <a href=\"openapi.json\">OpenAPI 3.1</a> and <a href=\"../__api__\">Swagger 2.0</a>. \
         More to read: <a href=\"{docs}\">the documentation</a>.</p>\n\
         <p>In the examples, this is where the service is, and <code>ann:secret</code> who you \
         are:</p>\n<pre>URL="
    );
    let mut after = String::from("</pre>\n</header>\n");
    let page = Page(description);
    page.navigation(&mut after);
    after.push_str("<main>\n");
    for tag in description.tags() {
        page.section(tag, &mut after);
    }
    page.errors(&mut after);
    after.push_str("</main>\n</body>\n</html>\n");
    Template { before, after }
}

/// Appends formatted text.
macro_rules! put {
    ($out:expr, $($text:tt)+) => {
        write!($out, $($text)+).expect("a string takes everything")
    };
}

struct Page<'a>(&'a Description);

impl Page<'_> {
    fn navigation(&self, out: &mut String) {
        out.push_str("<nav>");
        for tag in self.0.tags() {
            put!(out, "<a href=\"#{}\">{}</a> ", anchor(tag), escape(tag));
        }
        out.push_str("<a href=\"#errors\">Errors</a></nav>\n");
    }

    fn section(&self, tag: &str, out: &mut String) {
        put!(out, "<section id=\"{}\">\n<h2>{}</h2>\n", anchor(tag), escape(tag));
        for operation in self.0.operations.iter().filter(|operation| operation.tag == tag) {
            self.operation(operation, out);
        }
        out.push_str("</section>\n");
    }

    fn operation(&self, operation: &Operation, out: &mut String) {
        let method = operation.method.as_str();
        put!(
            out,
            "<details id=\"{}\">\n<summary><b class=\"{method}\">{method}</b> <code>{}</code> \
             <span>{}</span></summary>\n",
            anchor(&operation.id),
            path(&operation.path),
            escape(&operation.summary)
        );
        if !operation.description.is_empty() {
            put!(out, "<p>{}</p>\n", prose(operation.description));
        }
        put!(out, "<pre>{}</pre>\n", escape(&self.curl(operation)));
        self.parameters(operation, out);
        if let Some(body) = &operation.body {
            self.body(body, out);
        }
        self.answers(operation, out);
        out.push_str("</details>\n");
    }

    fn parameters(&self, operation: &Operation, out: &mut String) {
        if operation.parameters.is_empty() {
            return;
        }
        out.push_str("<h3>Parameters</h3>\n<table>\n");
        for parameter in self.0.parameters_of(operation) {
            put!(
                out,
                "<tr><td><code>{}</code><td><i>{}</i> {}{}<td>{}\n",
                escape(&parameter.name),
                parameter.place.as_str(),
                escape(&self.kind(&parameter.schema)),
                if parameter.required { REQUIRED } else { "" },
                prose(&parameter.description)
            );
        }
        out.push_str("</table>\n");
    }

    fn body(&self, body: &Body, out: &mut String) {
        out.push_str("<h3>Body</h3>\n");
        let mut shown: Option<&Value> = None;
        for content in &body.contents {
            put!(out, "<p><code>{}</code></p>\n", escape(content.media_type));
            if let Some(example) = &content.example {
                put!(out, "<pre>{}</pre>\n", escape(&pretty(example)));
            }
            if shown != Some(&content.schema) {
                self.fields(&content.schema, out);
            }
            shown = Some(&content.schema);
        }
    }

    fn answers(&self, operation: &Operation, out: &mut String) {
        out.push_str("<h3>Answers</h3>\n<dl>\n");
        for answer in &operation.answers {
            self.answer(answer, out);
        }
        let links = operation.errors.iter().filter_map(|status| error_of(*status)).map(|error| {
            format!("<a href=\"#error-{0}\" title=\"{1}\">{0}</a>", error.status, error.name)
        });
        let links: Vec<_> = links.collect();
        out.push_str("</dl>\n");
        if !links.is_empty() {
            put!(out, "<p>Errors: {}</p>\n", links.join(" "));
        }
    }

    fn answer(&self, answer: &Answer, out: &mut String) {
        put!(out, "<dt>{}<dd>{}\n", answer.status, prose(&answer.description));
        if !answer.headers.is_empty() {
            let names: Vec<_> =
                answer.headers.iter().map(|name| format!("<code>{name}</code>")).collect();
            put!(out, "<p>Headers: {}</p>\n", names.join(", "));
        }
        if let Some(Content { schema, .. }) = &answer.content {
            self.fields(schema, out);
        }
    }

    /// A table of what a body is made of, if it has named parts.
    fn fields(&self, schema: &Value, out: &mut String) {
        let mut rows = String::new();
        self.rows(schema, "", 0, &mut rows);
        if !rows.is_empty() {
            put!(out, "<table>\n{rows}</table>\n");
        }
    }

    fn rows(&self, schema: &Value, prefix: &str, depth: usize, out: &mut String) {
        let schema = self.0.resolve(schema);
        if depth == MAX_DEPTH {
            return;
        }
        if schema["items"].is_object() {
            return self.rows(&schema["items"], &format!("{prefix}[]."), depth + 1, out);
        }
        let Some(properties) = schema["properties"].as_object() else { return };
        for (name, property) in properties {
            let required = schema["required"].as_array().is_some_and(|names| {
                names.iter().any(|required| required.as_str() == Some(name.as_str()))
            });
            let name = format!("{prefix}{name}");
            let text = self.0.resolve(property)["description"].as_str().unwrap_or_default();
            put!(
                out,
                "<tr><td><code>{}</code><td>{}{}<td>{}\n",
                escape(&name),
                escape(&self.kind(property)),
                if required { REQUIRED } else { "" },
                prose(text)
            );
            let below = if self.0.resolve(property)["items"].is_object() { "" } else { "." };
            self.rows(property, &format!("{name}{below}"), depth + 1, out);
        }
    }

    /// What values there are, in a few words.
    fn kind(&self, schema: &Value) -> String {
        let schema = self.0.resolve(schema);
        if let Some(values) = schema["enum"].as_array().filter(|values| values.len() < 10) {
            let values: Vec<_> = values.iter().map(plain).collect();
            return values.join(" | ");
        }
        match schema["type"].as_str() {
            Some("array") => format!("list of {}", self.kind(&schema["items"])),
            Some(kind) => kind.to_owned(),
            None => "anything".to_owned(),
        }
    }

    /// A command that sends the request.
    fn curl(&self, operation: &Operation) -> String {
        let mut command = "curl".to_owned();
        if operation.asks_who {
            command.push_str(" -u ann:secret");
        }
        match operation.method.as_str() {
            "GET" => {}
            "HEAD" => command.push_str(" -I"),
            method => put!(command, " -X {method}"),
        }
        if let Some(content) = operation.body.as_ref().and_then(|body| body.contents.first())
            && let Some(example) = &content.example
        {
            put!(command, " -H 'Content-Type: {}' \\\n  -d '{example}' \\\n ", content.media_type);
        }
        put!(command, " \"$URL{}\"", self.example_path(operation));
        command
    }

    fn example_path(&self, operation: &Operation) -> String {
        let in_path = |parameter: &&Parameter| parameter.place == Place::Path;
        let mut path = operation.path.clone();
        for parameter in self.0.parameters_of(operation).filter(in_path) {
            let example = parameter.example.as_ref().map(plain).unwrap_or_default();
            path = path.replace(&format!("{{{}}}", parameter.name), &example);
        }
        path
    }

    fn errors(&self, out: &mut String) {
        out.push_str("<section id=\"errors\">\n<h2>Errors</h2>\n<p>All have the same shape.</p>\n");
        self.fields(&super::model::reference("Error"), out);
        out.push_str("<dl>\n");
        for error in super::model::ERRORS {
            let text = prose(error.description);
            put!(out, "<dt id=\"error-{0}\">{0}<dd>{text}\n", error.status);
        }
        out.push_str("</dl>\n</section>\n");
    }
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// A value without the quotes of texts.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A name as the target of links.
fn anchor(name: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    name.chars().map(letter).collect()
}

/// A path whose parameters stand out.
fn path(path: &str) -> String {
    escape(path).replace('{', "<var>{").replace('}', "}</var>")
}

/// Text in which parts between backticks are code.
fn prose(text: &str) -> String {
    let parts = text.split('`').enumerate();
    parts
        .map(|(index, part)| match index % 2 {
            0 => escape(part),
            _ => format!("<code>{}</code>", escape(part)),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(escape("<a href='x'>&\""), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;");
        assert_eq!(prose("see `<b>` & co"), "see <code>&lt;b&gt;</code> &amp; co");
        assert_eq!(path("/buckets/{id}"), "/buckets/<var>{id}</var>");
    }
}
