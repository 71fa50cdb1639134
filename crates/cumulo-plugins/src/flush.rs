//! `POST /__flush__` empties the whole store and the cache. It is open to everybody: for tests only.

use cumulo_core::{
    api::Api,
    call::Call,
    error::Result,
    openapi::{
        Description,
        model::{Answer, Content, Operation},
    },
    plugin::{Claim, Plugin},
    reply::Reply,
    store::Transaction,
};
use http::{Method, StatusCode};
use serde_json::{Value, json};

pub(crate) struct Flush;

const PATH: &str = "/__flush__";

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

    fn claims(&self, path: &str) -> Option<Claim> {
        (path == PATH).then_some(Claim::Methods(&[Method::POST]))
    }

    fn describe(&self, _: &Api, description: &mut Description) {
        let (id, summary) = ("create_flush", "Remove everything from the store and the cache");
        let mut flush = Operation::new(Method::POST, PATH, id, "Flush", summary);
        let empty = Content::json(json!({"type": "object"}));
        flush.answers.push(Answer::new(202, "It is done.", Some(empty)));
        description.operations.push(flush);
    }

    fn answer(&self, _: &Api, _: &Call, tx: &mut dyn Transaction) -> Result<Reply> {
        tx.flush()?;
        let mut reply = Reply::json(StatusCode::ACCEPTED, &json!({}));
        reply.empties_cache = true;
        Ok(reply)
    }
}
