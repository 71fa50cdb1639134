//! `cumulo info`

use cumulo_client::server::ServerInfo;
use serde_json::{Value, json};

use crate::{
    Address, Connect, Context, Error, Format, Result, Shape, Surroundings, address::Target,
};

pub(super) const EXAMPLES: &str = "\
Examples:
  cumulo info
  cumulo info -o json --columns user.id";

/// The arguments.
#[derive(Debug, clap::Args)]
pub struct Info {
    /// The server: a URL, or a profile with a colon [default: the one in use]
    #[arg(default_value = "")]
    address: Address,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    connect: Connect,
}

impl Info {
    pub(super) fn run(self, surroundings: &Surroundings) -> Result<()> {
        if self.address.target != Target::Server {
            return Err(Error::Usage("expected a server: a URL, or a profile as `work:`".into()));
        }
        let context = Context::new(&self.connect, surroundings);
        let (_, info) = context.introduced(&self.address.server)?;
        let output = context.output(&self.format);
        let is_table = output.shape(Shape::Json) == Shape::Table;
        let shown = if is_table && self.format.columns.is_empty() {
            summary(&info)
        } else {
            serde_json::to_value(&info).unwrap_or_default()
        };
        output.object(&shown)
    }
}

/// What people want to know first.
fn summary(info: &ServerInfo) -> Value {
    let user = info.user.as_ref();
    let names: Vec<_> = info.capabilities.keys().map(String::as_str).collect();
    let batch = info.settings.batch_max_requests.filter(|limit| *limit > 0);
    let mut summary = json!({
        "server": info.url,
        "software": format!("{} {}", info.project_name, info.project_version),
        "protocol": info.http_api_version,
        "user": user.map_or("nobody", |it| &it.id),
        "bucket": user.and_then(|it| it.bucket.as_deref()),
        "principals": user.map(|it| it.principals.join(" ")),
        "capabilities": names.join(" "),
        "read-only": info.settings.readonly,
        "requests in a batch": batch.map_or_else(|| "no limit".to_owned(), |it| it.to_string()),
    });
    if let Value::Object(fields) = &mut summary {
        fields.retain(|_, value| !value.is_null());
    }
    summary
}
