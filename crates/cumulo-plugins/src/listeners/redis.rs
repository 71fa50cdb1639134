//! A list in Redis as a listener, as that of the package kinto-redis: `LPUSH` of each payload.

use std::time::Duration;

use cumulo_core::{outbox::Message, plugin::StartError};
use redis::{
    Client,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::timeout;

use super::delivery::Receipt;

pub(super) struct Redis {
    list: String,
    timeout: Duration,
    connection: ConnectionManager,
}

impl Redis {
    /// Connects when something is delivered.
    pub(super) fn new(
        url: &SecretString,
        list: &str,
        timeout: Duration,
    ) -> Result<Self, StartError> {
        // What the error says may quote the address, and with it a password.
        let refuse = |_| "the URL is not one of Redis";
        let client = Client::open(url.expose_secret()).map_err(refuse)?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(timeout))
            .set_response_timeout(Some(timeout))
            .set_max_delay(Duration::from_millis(500))
            .set_number_of_retries(1);
        let connection = ConnectionManager::new_lazy_with_config(client, config).map_err(refuse)?;
        Ok(Self { list: list.to_owned(), timeout, connection })
    }

    /// Pushes messages, the first one first.
    pub(super) async fn push(&self, messages: &[Message]) -> Receipt {
        let mut push = redis::cmd("LPUSH");
        push.arg(&self.list);
        for message in messages {
            push.arg(&message.body);
        }
        let mut connection = self.connection.clone();
        match timeout(self.timeout, push.query_async::<i64>(&mut connection)).await {
            Ok(Ok(_)) => Receipt::Delivered,
            Ok(Err(error)) => Receipt::failed(error.category()),
            Err(_) => Receipt::failed("no answer in time"),
        }
    }
}
