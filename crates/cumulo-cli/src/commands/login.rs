//! `cumulo login`

use std::{
    fs,
    io::{self, IsTerminal as _},
    path::Path,
    process,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use cumulo_client::{
    Auth,
    auth::oidc::{BrowserLogin, DeviceLogin},
    blocking::Client,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use super::line;
use crate::{
    Connect, Context, Credentials, Error, Format, Profile, Profiles, Result, Surroundings,
    address::without_user,
    interrupt::{INTERRUPTED, on_interrupt},
    profiles::{check_name, is_same},
};

pub(super) const EXAMPLES: &str = "\
Credentials are asked for, checked with the server, and kept in a file that only you can read:
$XDG_CONFIG_HOME/cumulo/profiles.toml, or ~/.config/cumulo/profiles.toml. Other commands use the
profile 'default', or that of --profile or $CUMULO_PROFILE.

Examples:
  cumulo login http://127.0.0.1:8888/v1
  cumulo login http://127.0.0.1:8888/v1 --user alice --profile alice
  cumulo login http://127.0.0.1:8888/v1 --anonymous --profile nobody
  cumulo login --list";

/// The arguments.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option")]
#[command(group = clap::ArgGroup::new("what").required(true).args(["url", "list"]))]
pub struct Login {
    /// The server, with its version
    url: Option<String>,
    /// Show the profiles, without their secrets
    #[arg(long, conflicts_with_all = ["user", "token", "openid", "anonymous"])]
    list: bool,
    /// Name of the user; only the password is asked for
    #[arg(long, value_name = "NAME", group = "who")]
    user: Option<String>,
    /// Ask for a bearer token
    #[arg(long, group = "who")]
    token: bool,
    /// Log in at a provider that the server trusts, with the browser
    #[arg(long, value_name = "PROVIDER", num_args = 0..=1, default_missing_value = "")]
    #[arg(group = "who")]
    openid: Option<String>,
    /// Log in with the browser of another device
    #[arg(long, requires = "openid")]
    device: bool,
    /// Without credentials
    #[arg(long, group = "who")]
    anonymous: bool,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    connect: Connect,
}

impl Login {
    pub(super) fn run(self, surroundings: &Surroundings) -> Result<()> {
        let context = Context::new(&self.connect, surroundings);
        let Some(url) = &self.url else { return self.list(&context) };
        let url = server(url)?;
        let mut profiles = context.profiles()?.clone();
        let name = context.profile_name();
        check_name(name)?;
        check_free(&profiles, name, &url)?;
        let (who, auth) = if let Some(provider) = &self.openid {
            let tokens = profiles.tokens(name)?;
            (self.at_provider(&context, &url, provider, &tokens)?, None)
        } else {
            let auth = self.auth(&context)?;
            let credentials = auth.clone().map(Credentials::Text);
            (who(&context.connect_to(&url, credentials.as_ref())?, auth.is_some())?, auth)
        };
        let openid = self.openid.clone();
        profiles.set(name, Profile { server: url.clone(), auth, openid, ..Profile::default() })?;
        context.remark(&format!("{who} at {url}, kept as the profile '{name}'"));
        Ok(())
    }

    /// Logs in at a provider. The tokens of an earlier login are kept until this is done.
    fn at_provider(
        &self,
        context: &Context,
        url: &str,
        provider: &str,
        tokens: &Path,
    ) -> Result<String> {
        let fresh = tokens.with_extension("new");
        let _ = fs::remove_file(&fresh);
        let auth: Arc<dyn Auth> = if self.device {
            let login = DeviceLogin::new().cache_file(&fresh);
            Arc::new(if provider.is_empty() { login } else { login.provider(provider) })
        } else {
            let login = BrowserLogin::new().cache_file(&fresh);
            Arc::new(if provider.is_empty() { login } else { login.provider(provider) })
        };
        let who = who(&context.connect_as(url, Some(auth))?, true)?;
        fs::rename(&fresh, tokens).map_err(|error| Error::file(tokens, error))?;
        Ok(who)
    }

    /// The credentials: those of the option or the environment, or what is answered.
    fn auth(&self, context: &Context) -> Result<Option<SecretString>> {
        if self.anonymous {
            return Ok(None);
        }
        if self.token {
            let token = hidden("Token: ")?;
            return Ok(Some(format!("Bearer {}", token.expose_secret()).into()));
        }
        if let (Some(auth), None) = (&context.options().auth, &self.user) {
            return Ok(Some(auth.clone()));
        }
        let user = match &self.user {
            Some(user) => user.clone(),
            None => line("User: ")?,
        };
        if user.is_empty() || user.contains([':', ' ']) {
            let problem = "is no name of a user: it has a colon or a space, or nothing";
            return Err(Error::Usage(format!("'{user}' {problem}")));
        }
        let password = hidden(&format!("Password of {user}: "))?;
        Ok(Some(format!("{user}:{}", password.expose_secret()).into()))
    }

    fn list(&self, context: &Context) -> Result<()> {
        let rows = context.profiles()?.iter().map(|(name, profile)| {
            let user = match (&profile.auth, &profile.openid) {
                (Some(auth), _) => Some(shown(auth.expose_secret())),
                (None, openid) => openid.as_ref().map(|_| "OpenID"),
            };
            Ok(json!({"profile": name, "server": without_user(&profile.server), "user": user}))
        });
        context.output(&self.format).rows(rows)
    }
}

/// Who the server takes us for.
fn who(client: &Client, has_credentials: bool) -> Result<String> {
    let info = client.server_info()?;
    match info.user {
        Some(user) => Ok(user.id),
        None if has_credentials => {
            let advice = "nothing was kept: try again with the right ones";
            Err(Error::Unknown { server: info.url, advice })
        }
        None => Ok("nobody".to_owned()),
    }
}

/// The server as it is kept: with a version, and without credentials.
fn server(url: &str) -> Result<String> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let Some(rest) = rest else {
        // What is there may be a password.
        return Err(Error::Usage("the server is no URL: expected https://…/v1".to_owned()));
    };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    if host.contains('@') {
        let problem = "give credentials when they are asked for, not in the URL".to_owned();
        return Err(Error::Usage(problem));
    }
    let url = url.trim_end_matches('/');
    Ok(if path.trim_matches('/').is_empty() { format!("{url}/v1") } else { url.to_owned() })
}

/// The profile of another server is not lost.
fn check_free(profiles: &Profiles, name: &str, url: &str) -> Result<()> {
    match profiles.get(name) {
        Some(profile) if !is_same(&profile.server, url) => Err(Error::Profile(format!(
            "the profile '{name}' is for {}\n  keep this one too with --profile NAME, or forget \
             that one with: cumulo logout {name}",
            without_user(&profile.server)
        ))),
        _ => Ok(()),
    }
}

/// Of credentials what is no secret: the user, or the kind of the token.
fn shown(auth: &str) -> &str {
    let end = auth.find([':', ' ']).unwrap_or_default();
    &auth[..end]
}

/// Asks for a secret; at a terminal, it is not shown.
fn hidden(question: &str) -> Result<SecretString> {
    if !io::stdin().is_terminal() {
        return line(question).map(Into::into);
    }
    // What asks ends the program at Ctrl-C, and only then would let the terminal show again what is
    // typed: so it must not come to its end before.
    let is_asking = Arc::new(AtomicBool::new(true));
    let still_asking = is_asking.clone();
    on_interrupt(move || {
        if !still_asking.load(Ordering::SeqCst) {
            process::exit(INTERRUPTED);
        }
    })?;
    let answer = rpassword::prompt_password(question);
    is_asking.store(false, Ordering::SeqCst);
    match answer {
        Ok(answer) => Ok(answer.into()),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => process::exit(INTERRUPTED),
        Err(_) => Err(Error::Aborted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_have_a_version_and_no_credentials() {
        for (url, expected) in [
            ("http://localhost:8888", "http://localhost:8888/v1"),
            ("http://localhost:8888/", "http://localhost:8888/v1"),
            ("https://example.com/kinto/v1/", "https://example.com/kinto/v1"),
        ] {
            assert_eq!(server(url).unwrap(), expected);
        }
        let error = server("https://ann:secret@example.com/v1").unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
        assert!(server("example.com").is_err());
    }

    #[test]
    fn only_users_are_shown() {
        for (auth, expected) in [
            ("ann:secret", "ann"),
            ("Bearer secret", "Bearer"),
            ("Bearer a:b", "Bearer"),
            ("ann:a b", "ann"),
            ("secret", ""),
        ] {
            assert_eq!(shown(auth), expected);
        }
    }
}
