//! What the description of the API says of providers and logins.

use std::sync::Arc;

use cumulo_core::openapi::{
    Description,
    model::{Answer, Operation, Parameter, Place},
};
use http::Method;
use serde_json::{Map, Value, json};

use super::{login::MAX_CALLBACK, provider::Provider};

/// Adds the providers as ways to log in, and the steps of a login.
pub(super) fn add(providers: &[Arc<Provider>], description: &mut Description) {
    for provider in providers {
        // Until it is known where users log in, tokens are all that can be told of.
        if let Some(way) = way(provider) {
            let name = &provider.settings.name;
            description.security.remove(&name.to_lowercase());
            description.security.insert(name.clone(), way);
        } else {
            description.lacks_something = true;
        }
    }
    if providers.is_empty() {
        return;
    }
    add_parameters(description);
    description.operations.push(Operation {
        description: "This is where an application sends a browser.",
        ..step("login", "Send a user to the provider", &["callback", "scope", "prompt"])
    });
    description.operations.push(Operation {
        description: "This is where the provider sends the browser. The token is added to the \
                      `callback` of the login.",
        ..step(
            "token",
            "Send a user back with a token",
            &["code", "state", "error", "error_description"],
        )
    });
}

/// How users of a provider log in.
fn way(provider: &Provider) -> Option<Value> {
    let url = &provider.known()?.authorization_endpoint;
    let scopes = provider.settings.allowed_scopes.iter();
    let scopes: Map<_, _> = scopes.map(|it| (it.clone(), meaning(it).into())).collect();
    let flow = json!({"authorizationUrl": url, "scopes": scopes});
    Some(json!({"type": "oauth2", "flows": {"implicit": flow}}))
}

/// What the scopes of OpenID Connect mean.
fn meaning(scope: &str) -> &'static str {
    match scope {
        "openid" => "Who the user is",
        "email" => "The user's email address",
        "profile" => "The user's name and picture",
        _ => "What the provider says it is",
    }
}

fn add_parameters(description: &mut Description) {
    let text = || json!({"type": "string"});
    let mut path = Parameter::new("provider", Place::Path, text(), "The name of a provider.");
    path.example = Some("auth0".into());
    description.add_parameter("openid.provider", path);
    let callback = json!({
        "type": "string", "format": "uri", "minLength": 1, "maxLength": MAX_CALLBACK
    });
    let none = json!({"type": "string", "enum": ["none"]});
    let examples = [("callback", "http://localhost:3000/#token="), ("scope", "openid email")];
    let required = true;
    for (name, schema, required, text) in [
        ("callback", callback, required, "The URL that gets the token at its end."),
        ("scope", text(), required, "What the token is to be good for: `openid email`."),
        ("prompt", none, !required, "With `none`, the provider asks the user nothing."),
        ("state", text(), required, "Which login it is."),
        ("code", text(), !required, "What the provider gives a token for."),
        ("error", text(), !required, "Why the provider gives none; in place of `code`."),
        ("error_description", text(), !required, "The same for people."),
    ] {
        let parameter = Parameter::new(name, Place::Query, schema, text);
        let example = examples.iter().find(|(known, _)| *known == name);
        let example = example.map(|(_, example)| (*example).into());
        let key = format!("openid.{name}");
        description.add_parameter(&key, Parameter { required, example, ..parameter });
    }
}

fn step(name: &str, summary: &str, parameters: &[&str]) -> Operation {
    let (path, id) = (format!("/openid/{{provider}}/{name}"), format!("get_openid_{name}"));
    let tag = format!("OpenID {name}");
    let mut operation = Operation::new(Method::GET, &path, &id, &tag, summary);
    let keys = std::iter::once(&"provider").chain(parameters);
    operation.parameters = keys.map(|name| format!("openid.{name}")).collect();
    operation.answers =
        vec![Answer { headers: vec!["Location"], ..Answer::new(307, "It goes on there.", None) }];
    operation.errors = vec![400, 503];
    operation
}
