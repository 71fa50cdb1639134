//! `GET /__counters__`: how many objects and tombstones there are of each kind.

use cumulo_core::{
    api::Api,
    authorization::{principals, require_named},
    call::Call,
    error::Result,
    plugin::{Claim, Plugin},
    reply::Reply,
    store::Transaction,
};
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

pub(crate) struct Counters;

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
        (path == "/__counters__").then_some(Claim::Methods(&[Method::GET, Method::HEAD]))
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
