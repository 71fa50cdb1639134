//! `GET /__counters__`: how many objects and tombstones there are of each kind.

use cumulo_core::{
    api::Api,
    authorization::{principals, require_named},
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
use serde_json::{Map, Value, json};

pub(crate) struct Counters;

const PATH: &str = "/__counters__";

/// The kinds that are told of, in this order.
const TOLD: [&str; 7] =
    ["account", "bucket", "group", "collection", "record", "history", "attachments"];

impl Plugin for Counters {
    fn name(&self) -> &'static str {
        "counters"
    }

    fn capability(&self) -> Option<(&'static str, Value)> {
        let value = json!({
            "description": "The __counters__ endpoint exposes how many objects are stored.",
            "url": "https://kinto.readthedocs.io/en/latest/api/1.x/counters.html",
        });
        Some(("counters_endpoint", value))
    }

    fn claims(&self, path: &str) -> Option<Claim> {
        (path == PATH).then_some(Claim::Methods(&[Method::GET, Method::HEAD]))
    }

    fn describe(&self, _: &Api, description: &mut Description) {
        let mut get = Operation::new(Method::GET, PATH, "get_counters", "Counters", "Count all");
        let numbers = json!({"type": "object", "additionalProperties": {"type": "integer"}});
        let content = Content::json(json!({
            "type": "object",
            "properties": {"objects": numbers, "tombstones": numbers},
            "required": ["objects", "tombstones"],
        }));
        let text = "How many objects and tombstones there are of each kind.";
        get.answers.push(Answer::new(200, text, Some(content)));
        get.errors = vec![401, 403, 503];
        get.asks_who = true;
        let head = Operation {
            id: "head_counters".to_owned(),
            method: Method::HEAD,
            summary: "Ask whether you may count".to_owned(),
            answers: vec![Answer::new(200, "You may.", None)],
            extra: true,
            ..get.clone()
        };
        description.operations.extend([get, head]);
    }

    fn answer(&self, api: &Api, call: &Call, tx: &mut dyn Transaction) -> Result<Reply> {
        let user = call.user.as_deref();
        require_named(&api.settings, "counters_read", &principals(user, tx)?, user)?;
        let totals = tx.totals()?;
        let (mut objects, mut tombstones) = (Map::new(), Map::new());
        for name in TOLD {
            let Some(total) = totals.iter().find(|total| total.resource == name) else { continue };
            if total.live > 0 {
                objects.insert(name.into(), total.live.into());
            }
            if total.tombstones > 0 {
                tombstones.insert(name.into(), total.tombstones.into());
            }
        }
        let counts = json!({"objects": objects, "tombstones": tombstones});
        Ok(Reply::json(StatusCode::OK, &counts))
    }
}
