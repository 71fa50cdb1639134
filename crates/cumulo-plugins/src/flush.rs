//! `POST /__flush__` empties the whole store and the cache. It is open to everybody: for tests only.

use cumulo_core::{
    api::Api,
    call::Call,
    cors,
    error::{ApiError, Result},
    openapi::{
        Description,
        model::{Answer, Content, Operation},
    },
    plugin::Plugin,
    reply::Reply,
    store::Transaction,
};
use http::{Method, StatusCode};
use serde_json::{Value, json};

pub(crate) struct Flush;

const PATH: &str = "/__flush__";
const METHODS: &str = "POST, OPTIONS";

impl Plugin for Flush {
    fn name(&self) -> &'static str {
        "flush"
    }

    fn capability(&self) -> Option<(&'static str, Value)> {
        let value = json!({
            "description": "The __flush__ endpoint can be used to remove all data from all backends.",
            "url": "https://kinto.readthedocs.io/en/latest/api/1.x/flush.html",
        });
        Some(("flush_endpoint", value))
    }

    fn describe(&self, _: &Api, description: &mut Description) {
        let (id, summary) = ("create_flush", "Remove everything from the store and the cache");
        let mut flush = Operation::new(Method::POST, PATH, id, "Flush", summary);
        let empty = Content::json(json!({"type": "object"}));
        flush.answers.push(Answer::new(202, "It is done.", Some(empty)));
        description.operations.push(flush);
    }

    fn claims(&self, path: &str) -> bool {
        path == PATH
    }

    fn answer(&self, api: &Api, call: &Call, tx: &mut dyn Transaction) -> Result<Reply> {
        match call.request.method {
            Method::OPTIONS => {
                Ok(cors::preflight(&api.settings, &call.request, METHODS, call.exposed()))
            }
            Method::POST => {
                tx.flush()?;
                let mut reply = Reply::json(StatusCode::ACCEPTED, &json!({}));
                reply.empties_cache = true;
                Ok(reply)
            }
            _ => Err(ApiError::method_not_allowed(METHODS)),
        }
    }
}
