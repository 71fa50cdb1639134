//! What a server tells about itself: <https://docs.kinto-storage.org/en/stable/api/1.x/utilities.html>

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Result, call::Call, response::Response, transport::Connection};

/// What a server tells about itself and about the user.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct ServerInfo {
    /// Its name.
    #[serde(default)]
    pub project_name: String,
    /// Its version.
    #[serde(default)]
    pub project_version: String,
    /// The version of the protocol that it speaks, such as `1.23`.
    #[serde(default)]
    pub http_api_version: String,
    /// Where it is, with the version.
    #[serde(default)]
    pub url: String,
    /// What clients should know of its settings.
    #[serde(default)]
    pub settings: ServerSettings,
    /// What it can do, by name.
    #[serde(default)]
    pub capabilities: BTreeMap<String, Map<String, Value>>,
    /// Who the user is, if they are logged in.
    pub user: Option<User>,
    /// What else it tells.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// What clients should know of the settings of a server.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct ServerSettings {
    /// How many requests a batch may have; 0 or nothing if there is no limit.
    pub batch_max_requests: Option<usize>,
    /// Whether nothing can be changed.
    #[serde(default)]
    pub readonly: bool,
    /// Others.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Who a user is to the server.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct User {
    /// The principal, such as `account:ann`.
    pub id: String,
    /// All principals that they have.
    #[serde(default)]
    pub principals: Vec<String>,
    /// The id of their own bucket, if the server has such.
    pub bucket: Option<String>,
    /// What else it tells.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl ServerInfo {
    pub(crate) fn read(response: &Response) -> Result<Self> {
        response.json()
    }

    /// Whether the server has a capability, such as `history`.
    pub fn has(&self, capability: &str) -> bool {
        self.capabilities.contains_key(capability)
    }
}

impl Connection {
    /// How many requests the server takes in a batch, asked for once.
    pub(crate) async fn batch_limit(&self) -> Result<usize> {
        if self.config().plan.is_some() {
            return Ok(usize::MAX);
        }
        let ask = || async {
            let info = ServerInfo::read(&self.execute(&Call::get("/")).await?)?;
            let limit = info.settings.batch_max_requests.filter(|limit| *limit > 0);
            Ok(limit.unwrap_or(usize::MAX))
        };
        self.state().batch_limit.get_or_try_init(ask).await.copied()
    }
}
