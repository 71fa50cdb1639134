//! Metrics for Prometheus, at `/__metrics__`, in the text and under the names of Kinto's.

mod number;
mod process;
mod registry;

use std::sync::Arc;

use cumulo_core::{
    api::Api,
    call::Call,
    error::Result,
    host::Host,
    metrics::Metrics,
    openapi::{
        Description,
        model::{Answer, Content, Operation},
    },
    plugin::{Claim, Plugin},
    reply::Reply,
    settings::Settings,
    store::BoxFuture,
};
use http::{HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};

use self::registry::Registry;

/// The text format of the Prometheus client for Python.
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=1.0.0; charset=utf-8");

const PATH: &str = "/__metrics__";

pub(crate) struct Prometheus {
    registry: Arc<Registry>,
    /// As the settings have them.
    disabled: Vec<String>,
}

impl Prometheus {
    pub(crate) fn new(settings: &Settings) -> Self {
        let registry = Arc::new(Registry::new(settings));
        Self { registry, disabled: settings.prometheus_disabled_metrics.clone() }
    }
}

impl Plugin for Prometheus {
    fn name(&self) -> &'static str {
        "prometheus"
    }

    fn capability(&self) -> Option<(&'static str, Value)> {
        let value = json!({
            "description": "Prometheus metrics.",
            "url": "https://github.com/Kinto/kinto/",
            "prefix": self.registry.prefix(),
            "disabled_metrics": self.disabled,
        });
        Some(("prometheus", value))
    }

    fn claims(&self, path: &str) -> Option<Claim> {
        (path == PATH).then_some(Claim::Methods(&[Method::GET, Method::HEAD]))
    }

    fn describe(&self, _: &Api, description: &mut Description) {
        let summary = "What is measured, for Prometheus";
        let mut get = Operation::new(Method::GET, PATH, "get_metrics", "Utilities", summary);
        let content =
            Content { media_type: "text/plain", ..Content::json(json!({"type": "string"})) };
        get.answers.push(Answer::new(200, summary, Some(content)));
        get.extra = true;
        description.operations.push(get);
    }

    fn endpoint_name(&self, _: &str) -> &'static str {
        "prometheus_metrics"
    }

    fn serve<'a>(&'a self, _: &'a dyn Host, _: &'a Call) -> Option<BoxFuture<'a, Result<Reply>>> {
        Some(Box::pin(async {
            let mut text = process::metrics(self.registry.started());
            self.registry.write(&mut text);
            let mut reply = Reply { body: text.into_bytes(), ..Reply::empty(StatusCode::OK) };
            reply.headers.insert(header::CONTENT_TYPE, TEXT);
            Ok(reply)
        }))
    }

    fn metrics(&self) -> Option<Arc<dyn Metrics>> {
        Some(Arc::clone(&self.registry) as Arc<dyn Metrics>)
    }
}
