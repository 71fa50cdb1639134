//! The root view: what the server is, and who the client is to it.

use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::{
    api::Api, authorization, caching::Caching, call::Call, error::Result, reply::Reply,
    store::Transaction,
};

pub(crate) fn get(api: &Api, call: &Call, tx: &mut dyn Transaction) -> Result<Reply> {
    let settings = &api.settings;
    let mut body = json!({
        "project_name": settings.project_name,
        "project_version": settings.project_version,
        "http_api_version": settings.http_api_version,
        "project_docs": settings.project_docs,
        "url": format!("{}/{}/", api.origin(&call.request), api.prefix()),
        "config": config_file(api),
        "settings": {
            "batch_max_requests": settings.batch_max_requests,
            "readonly": settings.readonly,
            "explicit_permissions": settings.explicit_permissions,
        },
        "capabilities": api.capabilities(),
    });
    if let Some(eos) = &settings.eos_text {
        body["eos"] = eos.as_str().into();
    }
    if let Some(user) = &call.user {
        body["user"] = describe_user(api, call, user, tx)?;
    }
    let mut reply = Reply::json(StatusCode::OK, &body);
    if settings.readonly {
        let caching = Caching::Seconds(settings.root_cache_expires_seconds);
        caching.apply(&mut reply.headers, api.clock.now());
    }
    Ok(reply)
}

/// What the root view tells of the settings file.
fn config_file(api: &Api) -> Value {
    api.settings.config_file.as_ref().map_or(
        Value::Null,
        |file| json!({"path": file.path, "hash": file.hash, "modified": file.modified}),
    )
}

fn describe_user(api: &Api, call: &Call, user: &str, tx: &mut dyn Transaction) -> Result<Value> {
    let mut description = Map::new();
    description.insert("id".into(), user.into());
    let principals = authorization::principals(Some(user), tx)?;
    description.insert("principals".into(), principals.into());
    if let Some(profile) = &call.profile {
        description.insert("profile".into(), profile.clone());
    }
    for plugin in &api.plugins {
        plugin.describe_user(api, user, &mut description);
    }
    Ok(Value::Object(description))
}

impl Api {
    /// What is switched on, as the root view tells it: each by its name, with a description.
    pub fn capabilities(&self) -> Map<String, Value> {
        let settings = &self.settings;
        let mut capabilities = Map::new();
        let mut add = |name: &str, description: &str, url: &str| {
            capabilities.insert(name.into(), json!({"description": description, "url": url}));
        };
        if settings.auth_policies.iter().any(|policy| policy.name == "basicauth") {
            add(
                "basicauth",
                "Very basic authentication sessions. Not for production use.",
                "http://kinto.readthedocs.io/en/stable/api/1.x/authentication.html",
            );
        }
        if settings.experimental_permissions_endpoint {
            add(
                "permissions_endpoint",
                "The permissions endpoint can be used to list all user objects permissions.",
                "https://kinto.readthedocs.io/en/latest/configuration/settings.html\
                 #activating-the-permissions-endpoint",
            );
        }
        if settings.experimental_collection_schema_validation {
            add(
                "schema",
                "Validates collection records with JSON schemas.",
                "https://kinto.readthedocs.io/en/latest/api/1.x/collections.html\
                 #collection-json-schema",
            );
        }
        let plugins = self.plugins.iter().filter_map(|plugin| plugin.capability());
        capabilities.extend(plugins.map(|(name, value)| (name.to_owned(), value)));
        capabilities
    }
}
