//! Who makes this (<https://github.com/mozilla/contribute.json>).

use http::StatusCode;
use serde_json::json;

use crate::reply::Reply;

pub(crate) fn get() -> Reply {
    let body = json!({
        "name": "cumulo",
        "description": "A storage service for applications: JSON records, synced and shared.",
        "repository": {
            "license": "Apache-2.0",
            "tests": "cargo xtask test",
        },
        "participate": {
            "docs": "See CONTRIBUTING.md in the source.",
        },
        "bugs": {},
        "keywords": ["storage", "json", "sync", "permissions", "rust", "http"],
    });
    Reply::json(StatusCode::OK, &body)
}
