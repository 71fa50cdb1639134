//! Who changed what, and what it was before: `/buckets/{id}/history`.
//!
//! Each change of a bucket, group, collection or record leaves an entry in its bucket, in the same
//! transaction. Entries are objects like others, stored as Kinto stores them, so that both can
//! serve one database; but they have no URLs of their own, and nobody writes them.
//!
//! - [`rules`]: what the settings say
//! - [`entries`]: what is noted
//! - [`trim`]: the end of old entries
//! - [`snapshot`]: a collection as it once was
//! - [`description`]: all that for readers of the API's description

mod description;
mod entries;
mod rules;
mod snapshot;
mod trim;

use cumulo_core::{
    api::Api,
    call::Call,
    error::Result,
    event::{Action, Event},
    openapi::Description,
    plugin::{Claim, Plugin},
    reply::Reply,
    resource::{BUCKET, Resource, Target, right},
    settings::Settings,
    store::{Outlook, Transaction},
};
use http::Method;
use serde_json::{Map, Value};

use self::{rules::Rules, trim::Budgets};

/// The plugin, with what it may do without looking for old entries.
pub(crate) struct History {
    rules: Rules,
    budgets: Budgets,
}

static HISTORY: Resource = Resource {
    name: "history",
    plural: "history",
    parent: Some(&BUCKET),
    permissions: &["read"],
    rights: &[
        ("write", &[right("history", "write"), right("bucket", "write")]),
        (
            "read",
            &[
                right("history", "write"),
                right("history", "read"),
                right("bucket", "write"),
                right("bucket", "read"),
            ],
        ),
    ],
    plural_methods: &[Method::HEAD, Method::GET, Method::DELETE],
    object_methods: &[],
    accepts_id: None,
    alone: false,
    secrets: &[],
    fields: Some(&[
        "user_id",
        "uri",
        "action",
        "date",
        "resource_name",
        "bucket_id",
        "collection_id",
        "group_id",
        "record_id",
        "target",
    ]),
    texts: &["bucket_id", "collection_id", "group_id", "record_id"],
};

static RESOURCES: [&Resource; 1] = [&HISTORY];

impl History {
    /// The plugin with these settings.
    pub(crate) fn new(settings: &Settings) -> Self {
        Self { rules: Rules::new(settings), budgets: Budgets::default() }
    }
}

impl Plugin for History {
    fn name(&self) -> &'static str {
        "history"
    }

    fn capability(&self) -> Option<(&'static str, Value)> {
        let mut value = Map::new();
        value.insert("description".into(), "Track changes on data.".into());
        let url = "http://kinto.readthedocs.io/en/latest/api/1.x/history.html";
        value.insert("url".into(), url.into());
        self.rules.describe(&mut value);
        Some(("history", Value::Object(value)))
    }

    fn resources(&self) -> &'static [&'static Resource] {
        &RESOURCES
    }

    fn claims(&self, path: &str) -> Option<Claim> {
        snapshot::Path::parse(path).map(|_| Claim::Methods(&[Method::GET, Method::HEAD]))
    }

    fn describe(&self, _: &Api, description: &mut Description) {
        description::add(description);
    }

    fn answer(&self, api: &Api, call: &Call, tx: &mut dyn Transaction) -> Result<Reply> {
        snapshot::get(api, call, tx)
    }

    fn subscribes(&self, action: Action) -> bool {
        action != Action::Read
    }

    fn foresee(&self, _: &Api, call: &Call, target: &Target, outlook: &mut Outlook) {
        entries::foresee(&self.rules, call, target, outlook);
    }

    fn on_events(
        &self,
        api: &Api,
        events: &[Event],
        tx: &mut dyn Transaction,
        _: &mut Vec<Event>,
    ) -> Result<()> {
        let written = entries::write(api, &self.rules, events, tx)?;
        if let Some(rule) = &self.rules.trim {
            trim::run(rule, &self.budgets, written, tx)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use cumulo_core::resource::plural;
    use serde_json::json;

    use super::*;

    #[test]
    fn stores_know_the_plural() {
        assert_eq!(plural(HISTORY.name), HISTORY.plural);
    }

    #[test]
    fn entries_have_no_urls() {
        let parse = |path| Target::parse_among(path, &RESOURCES);
        assert!(parse("/buckets/b/history").is_some());
        assert_eq!(parse("/buckets/b/history/e"), None);
    }

    #[test]
    fn the_capability_shows_what_is_set() {
        let file =
            [("history.auto_trim_max_count", "5"), ("history.exclude_resources", "/buckets/a")];
        let pairs = file.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let settings = Settings::load(&pairs, &[]).unwrap().settings;
        let (_, value) = History::new(&settings).capability().unwrap();
        assert_eq!(value["auto_trim_max_count"], 5);
        assert_eq!(value["excluded_resources"], json!([{"bucket": "a"}]));
        assert_eq!(value.get("auto_trim_user_ids"), None);
    }
}
