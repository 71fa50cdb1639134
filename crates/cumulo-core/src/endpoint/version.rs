//! Which build this is.

use http::StatusCode;
use serde_json::json;

use crate::{api::Api, reply::Reply};

/// The content of the version file, or else the version of the program.
pub(crate) fn get(api: &Api) -> Reply {
    match &api.version {
        Some(text) => Reply::raw_json(StatusCode::OK, text.clone()),
        None => {
            let version = env!("CARGO_PKG_VERSION");
            Reply::json(StatusCode::OK, &json!({"name": "cumulo", "version": version}))
        }
    }
}
