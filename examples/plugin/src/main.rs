//! Cumulo with a plugin of its own, which keeps some words out of what is stored.

use cumulo::Program;
use cumulo_core::{
    api::Api,
    call::Call,
    error::{ApiError, Errno, Result},
    event::{Action, Event},
    plugin::{Claim, Plugin},
    reply::Reply,
    store::Transaction,
};
use http::{Method, StatusCode};
use serde_json::json;

struct Words(Vec<String>);

impl Plugin for Words {
    fn name(&self) -> &'static str {
        "words"
    }

    fn claims(&self, path: &str) -> Option<Claim> {
        (path == "/words").then_some(Claim::Methods(&[Method::GET]))
    }

    fn answer(&self, _: &Api, _: &Call, _: &mut dyn Transaction) -> Result<Reply> {
        Ok(Reply::json(StatusCode::OK, &json!({"forbidden": self.0})))
    }

    fn subscribes(&self, action: Action) -> bool {
        matches!(action, Action::Create | Action::Update)
    }

    fn on_event(
        &self,
        _: &Api,
        event: &Event,
        _: &mut dyn Transaction,
        _: &mut Vec<Event>,
    ) -> Result<()> {
        let has = |word: &&String| event.impacted.iter().any(|it| it.new.data.contains(*word));
        match self.0.iter().find(has) {
            None => Ok(()),
            Some(word) => Err(ApiError::new(Errno::Forbidden)
                .with_message(format!("'{word}' must not be written here."))),
        }
    }
}

fn main() -> std::process::ExitCode {
    let words = Program::default().with_plugin("words", |settings| {
        let setting = settings.of_plugins.get("words.forbidden");
        let words = setting.map_or("", String::as_str).split_whitespace();
        Box::new(Words(words.map(str::to_owned).collect()))
    });
    words.run()
}
