//! Logins in the browser of this machine.
//!
//! The server sends the user to the provider and gets a code from it, which it trades for a token.
//! That comes to us in the address of the page that ends the login, which is on this machine.

use std::{
    fmt, io,
    process::{Command, Stdio},
    sync::Arc,
    thread,
};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use percent_encoding::percent_decode_str;

use super::{Asked, Login, Tokens, Way, listener::Listener, provider, tokens::Answer, web::query};
use crate::{Error, Result};

/// The browser of this machine.
#[derive(Clone)]
pub struct Browser(Arc<Open>);

/// What opens a URL.
type Open = dyn Fn(&str) -> io::Result<()> + Send + Sync;

impl Default for Browser {
    fn default() -> Self {
        Self(Arc::new(launch))
    }
}

impl Login<Browser> {
    /// What opens the URL at which the user logs in, in place of the browser of the system.
    ///
    /// Without this, the URL is written to standard error if there is no browser. It leads back to
    /// this machine: from another one, the port in it must be forwarded, or a
    /// [`DeviceLogin`](super::DeviceLogin) be used.
    #[must_use]
    pub fn open_with(
        mut self,
        open: impl Fn(&str) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.way = Browser(Arc::new(open));
        self
    }
}

#[async_trait]
impl Way for Browser {
    async fn obtain(&self, asked: &Asked<'_>) -> Result<Tokens> {
        let provider = provider::find(asked.web, asked.server, asked.provider).await?;
        let listener = Listener::start().await?;
        let parameters = query(&[("callback", &listener.url()), ("scope", asked.scope)]);
        let url = format!("{}{}?{parameters}", asked.server, provider.auth_path);
        let failed = |error| Error::Login(format!("the browser can't be opened: {error}"));
        (self.0)(&url).map_err(failed)?;
        listener.wait(|answer| decode(answer)?.into_tokens(asked.server, &provider)).await
    }
}

impl fmt::Debug for Browser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Browser")
    }
}

/// Reads what stands behind the callback URL: the answer of the provider as JSON in base64, or
/// `error` and `error_description` as in a query string.
fn decode(text: &str) -> Result<Answer> {
    let text = text.trim_start_matches('?');
    if text.starts_with("error=") {
        let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
        let pairs = pairs.map(|(name, value)| (name, decoded(&value.replace('+', " ")).into()));
        let object = pairs.map(|(name, value)| (name.to_owned(), value)).collect();
        return Ok(serde_json::from_value(serde_json::Value::Object(object)).unwrap_or_default());
    }
    let text = decoded(text).replace('-', "+").replace('_', "/");
    let bytes = STANDARD_NO_PAD.decode(text.trim_end_matches('='));
    let answer = bytes.ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    answer.ok_or_else(|| Error::Login("the server came back with something else".to_owned()))
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The program that opens a URL in the browser that the user has chosen.
const LAUNCHER: (&str, &[&str]) = if cfg!(target_os = "macos") {
    ("open", &[])
} else if cfg!(windows) {
    ("rundll32", &["url.dll,FileProtocolHandler"])
} else {
    ("xdg-open", &[])
};

/// Opens the browser, or shows the URL where there is none.
fn launch(url: &str) -> io::Result<()> {
    let (program, arguments) = LAUNCHER;
    let mut command = Command::new(program);
    command.args(arguments).arg(url);
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let Ok(mut child) = quiet.spawn() else {
        show(url);
        return Ok(());
    };
    let url = url.to_owned();
    thread::Builder::new().spawn(move || {
        // It may stay as long as the browser does.
        if !child.wait().is_ok_and(|status| status.success()) {
            show(&url);
        }
    })?;
    Ok(())
}

#[expect(clippy::print_stderr, reason = "there is no other way to the user")]
fn show(url: &str) {
    eprintln!("To log in, open this page in a browser of this machine:\n\n    {url}\n");
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};

    use super::{super::tokens::tests::provider, *};

    fn token(text: &str) -> Result<String> {
        Ok(decode(text)?.into_tokens("http://s/v1", &provider())?.access_token)
    }

    #[test]
    fn tokens_are_read_in_every_base64() {
        // Has characters that differ between the alphabets.
        let json = r#"{"access_token":"~~~???>>>ÿÿ"}"#;
        let standard = STANDARD.encode(json);
        assert!(standard.contains('/') && standard.contains('+') && standard.ends_with('='));
        let quoted = standard.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
        for text in [standard, quoted, URL_SAFE.encode(json), URL_SAFE_NO_PAD.encode(json)] {
            assert_eq!(token(&text).unwrap(), "~~~???>>>ÿÿ", "{text}");
        }
        for text in ["", "a", "e30", "//", "%ff"] {
            assert!(token(text).is_err(), "{text}");
        }
    }

    #[test]
    fn refusals_are_read() {
        for before in ["", "?"] {
            let text = format!("{before}error=access_denied&error_description=not%20you+now");
            let error = token(&text).unwrap_err().to_string();
            assert!(error.ends_with("says: access_denied, not you now"), "{error}");
        }
    }
}
