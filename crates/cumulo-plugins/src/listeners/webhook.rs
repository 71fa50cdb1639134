//! A URL as a listener, to which messages are posted. They are signed as the specification Standard
//! Webhooks (<https://www.standardwebhooks.com>) says.
//!
//! Where the URL leads is for the operator to say, to private networks too. Redirects are not
//! followed: nobody else may say it.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use cumulo_core::{
    causes::Causes, object::Timestamp, outbox::Message, plugin::StartError,
    settings::listeners::signing_key,
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::{
    Client, Response, StatusCode, Url,
    header::{CONTENT_TYPE, RETRY_AFTER},
    redirect,
};
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use sha2::Sha256;

use super::delivery::Receipt;

/// Of an answer, so much is read, so that the connection can be used again.
const MAX_ANSWER: usize = 16 * 1024;

pub(super) struct Webhook {
    client: Client,
    url: Url,
    keys: Vec<SecretSlice<u8>>,
}

impl Webhook {
    pub(super) fn new(
        url: &SecretString,
        secrets: &[SecretString],
        timeout: Duration,
    ) -> Result<Self, StartError> {
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .timeout(timeout)
            .user_agent(concat!("Cumulo/", env!("CARGO_PKG_VERSION")))
            .build()?;
        let url = Url::parse(url.expose_secret()).map_err(|error| format!("url: {error}"))?;
        let keys = secrets.iter().filter_map(signing_key).map(Into::into).collect();
        Ok(Self { client, url, keys })
    }

    /// Posts a message.
    pub(super) async fn post(&self, message: &Message, now: Timestamp) -> Receipt {
        let seconds = now.0.div_euclid(1000);
        let request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &message.id)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", self.signatures(message, seconds))
            .body(message.body.clone());
        match request.send().await {
            Ok(answer) => {
                let receipt = judge(&answer, now);
                drain(answer).await;
                receipt
            }
            // The URL may hold a password.
            Err(error) => Receipt::failed(Causes(&error.without_url()).to_string()),
        }
    }

    /// The signatures with all keys, separated by spaces.
    fn signatures(&self, message: &Message, seconds: i64) -> String {
        let signed = format!("{}.{seconds}.{}", message.id, message.body);
        let sign = |key: &SecretSlice<u8>| {
            let mut mac = Hmac::<Sha256>::new_from_slice(key.expose_secret())
                .expect("keys of any length will do");
            mac.update(signed.as_bytes());
            format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
        };
        self.keys.iter().map(sign).collect::<Vec<_>>().join(" ")
    }
}

/// What an answer means.
fn judge(answer: &Response, now: Timestamp) -> Receipt {
    let status = answer.status();
    if status.is_success() {
        return Receipt::Delivered;
    }
    if status == StatusCode::GONE {
        return Receipt::Gone;
    }
    let after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let after = after.and_then(|text| retry_after(text, now));
    Receipt::Failed { reason: format!("the answer was {status}"), after }
}

/// `Retry-After`: seconds, or a date.
fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text.trim()).ok()?;
    let date = date.duration_since(std::time::UNIX_EPOCH).ok()?;
    let now = Duration::from_millis(u64::try_from(now.0).ok()?);
    date.checked_sub(now)
}

async fn drain(mut answer: Response) {
    let mut read = 0;
    // Whatever it says after its status, it has been judged.
    while let Ok(Some(chunk)) = answer.chunk().await {
        read += chunk.len();
        if read > MAX_ANSWER {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[test]
    fn signatures_are_those_of_the_specification() {
        let secrets = [SECRET, "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="];
        let secrets = secrets.map(SecretString::from);
        let url = "https://example.org/".into();
        let webhook = Webhook::new(&url, &secrets, Duration::from_secs(1)).unwrap();
        let message = Message {
            id: "msg_p5jXN8AQM9LWM0D4loKWxJek".into(),
            ..Message::new("hook", r#"{"test": 2432232314}"#, Timestamp(0))
        };
        let signatures = webhook.signatures(&message, 1_614_265_330);
        let (first, second) = signatures.split_once(' ').unwrap();
        assert_eq!(first, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert!(second.starts_with("v1,") && second != first);
    }

    #[test]
    fn receivers_say_when_to_try_again() {
        let now = Timestamp(784_111_777_000);
        let seconds = |text| retry_after(text, now).map(|after| after.as_secs());
        assert_eq!(seconds("120"), Some(120));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:50:37 GMT"), Some(60));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:00:00 GMT"), None);
        assert_eq!(seconds("soon"), None);
    }
}
