//! What the service can do, written down for programs and for people.
//!
//! [`describe`] makes a [`Description`] from what the code knows: the table of resources, the
//! parameters, the limits, the errors and what plugins add. Three writers put it into words:
//!
//! - `swagger`: Swagger 2.0, with the operations that Kinto's document has, in its structure
//! - `document`: OpenAPI 3.1, with everything
//! - `page`: HTML, to be read
//!
//! [`model`] says what a description is made of; `resources`, `utilities`, `parameters` and
//! `schemas` make its parts.

mod document;
pub mod model;
mod page;
mod parameters;
mod resources;
mod schemas;
mod swagger;
mod utilities;

use std::sync::OnceLock;

use http::Method;
use serde_json::{Value, json};

pub use self::model::Description;
use crate::{api::Api, settings::PolicyKind};

/// One of the forms of the description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Swagger 2.0: `/__api__`.
    Swagger,
    /// OpenAPI 3.1: `/__api__/openapi.json`.
    Document,
    /// HTML: `/__api__/docs`.
    Page,
}

impl Form {
    /// The form that is at this path.
    pub fn at(path: &str) -> Option<Self> {
        match path {
            "/__api__" => Some(Self::Swagger),
            "/__api__/openapi.json" => Some(Self::Document),
            "/__api__/docs" => Some(Self::Page),
            _ => None,
        }
    }

    /// The media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Swagger | Self::Document => "application/json",
            Self::Page => "text/html; charset=utf-8",
        }
    }

    /// What the page may do; the documents may do what any answer may.
    pub fn policy(self) -> Option<String> {
        (self == Self::Page).then(page::policy)
    }
}

/// The forms, each made when it is first asked for and nothing lacks.
#[derive(Default)]
pub(crate) struct Forms {
    swagger: OnceLock<Template>,
    document: OnceLock<Template>,
    page: OnceLock<Template>,
}

/// A text with a gap for the address of the service, which clients may know under several.
struct Template {
    before: String,
    after: String,
}

impl Template {
    /// The text of a JSON object, without the fields that name the address; they come first.
    fn json(value: &Value) -> Self {
        let text = value.to_string();
        Self { before: "{".to_owned(), after: text[1..].to_owned() }
    }

    fn fill(&self, address: &str) -> Vec<u8> {
        [&self.before, address, &self.after].concat().into_bytes()
    }
}

impl Api {
    /// The description in this form, for clients that know the service under this origin
    /// (`https://example.org`).
    pub fn described(&self, form: Form, origin: &str) -> Vec<u8> {
        let forms = &self.forms;
        let (kept, address): (_, String) = match form {
            Form::Swagger => (&forms.swagger, swagger::address(origin)),
            Form::Document => (&forms.document, document::address(self, origin)),
            Form::Page => (&forms.page, page::address(self, origin)),
        };
        if let Some(template) = kept.get() {
            return template.fill(&address);
        }
        let description = describe(self);
        let template = match form {
            Form::Swagger => swagger::write(self, &description),
            Form::Document => document::write(self, &description),
            Form::Page => page::write(self, &description),
        };
        if description.lacks_something {
            return template.fill(&address);
        }
        kept.get_or_init(|| template).fill(&address)
    }
}

/// Whoever guesses passwords of accounts has to wait, whatever else they ask.
fn add_throttling(api: &Api, description: &mut Description) {
    let accounts = PolicyKind::Plugin("accounts");
    if !api.settings.auth_policies.iter().any(|policy| policy.kind == accounts) {
        return;
    }
    for operation in description.operations.iter_mut().filter(|it| it.asks_who) {
        operation.errors.push(429);
        operation.errors.sort_unstable();
    }
}

/// What the service can do with these settings and plugins.
pub fn describe(api: &Api) -> Description {
    let mut description = Description::default();
    for policy in &api.settings.auth_policies {
        let scheme = policy.scheme.to_ascii_lowercase();
        let way = json!({"type": "http", "scheme": scheme});
        description.security.insert(policy.name.clone(), way);
    }
    schemas::add(api, &mut description);
    parameters::add(&mut description);
    resources::add(api, &mut description);
    utilities::add(api, &mut description);
    for plugin in &api.plugins {
        plugin.describe(api, &mut description);
    }
    add_throttling(api, &mut description);
    if api.settings.readonly {
        let reads = [Method::GET, Method::HEAD];
        description.operations.retain(|operation| reads.contains(&operation.method));
    }
    description
}
