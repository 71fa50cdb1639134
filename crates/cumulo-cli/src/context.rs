//! What commands work with: clients, profiles, output and progress.

use std::{cell::OnceCell, io::IsTerminal as _, path::PathBuf, sync::Arc, time::Duration};

use cumulo_client::{
    Auth, Retry,
    auth::{self, oidc::CachedLogin},
    blocking::Client,
    server::ServerInfo,
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use secrecy::ExposeSecret as _;

use crate::{
    Address, Connect, Credentials, Error, Profile, Profiles, Result,
    address::{Server, without_user},
    options::Format,
    output::Output,
    profiles::{self, is_same},
};

/// How often bars are drawn.
const REDRAWN: Duration = Duration::from_millis(100);

/// What the program knows of its surroundings.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Where a person's settings of this program are, if there is such a place.
    pub config: Option<PathBuf>,
    /// The whole command line, for completions and man pages.
    pub program: fn() -> clap::Command,
}

/// What a command works with.
#[derive(Debug)]
pub struct Context {
    connect: Connect,
    config: Option<PathBuf>,
    profiles: OnceCell<Profiles>,
}

impl Context {
    /// For one run of a command.
    pub fn new(connect: &Connect, surroundings: &Surroundings) -> Self {
        let config = surroundings.config.clone();
        let mut connect = connect.clone();
        // Empty variables count as not set.
        connect.profile = connect.profile.filter(|it| !it.is_empty());
        connect.server = connect.server.filter(|it| !it.is_empty());
        connect.auth = connect.auth.filter(|it| !it.expose_secret().is_empty());
        Self { connect, config, profiles: OnceCell::new() }
    }

    /// The profiles, read when they are needed.
    pub fn profiles(&self) -> Result<&Profiles> {
        if let Some(profiles) = self.profiles.get() {
            return Ok(profiles);
        }
        let profiles = Profiles::read(self.config.as_deref())?;
        Ok(self.profiles.get_or_init(|| profiles))
    }

    /// The name of the profile in use.
    pub fn profile_name(&self) -> &str {
        self.connect.profile.as_deref().unwrap_or(profiles::DEFAULT)
    }

    /// The profile in use. One that is named must be there.
    fn profile(&self) -> Result<Option<&Profile>> {
        match &self.connect.profile {
            Some(name) => self.profiles()?.named(name).map(Some),
            None => Ok(self.profiles()?.get(profiles::DEFAULT)),
        }
    }

    /// A client of the server that an address speaks of.
    pub fn at(&self, address: &Address) -> Result<Client> {
        self.client(&address.server)
    }

    /// A client of a server, with the credentials that belong to it.
    pub fn client(&self, server: &Server) -> Result<Client> {
        let (url, auth) = self.place(server)?;
        self.connect_to(&url, auth.as_ref())
    }

    /// A client of a server, and what this server is. The credentials, if there are any, must be
    /// known there: otherwise what is public would hide that they are not.
    pub fn introduced(&self, server: &Server) -> Result<(Client, ServerInfo)> {
        let (url, auth) = self.place(server)?;
        let client = self.connect_to(&url, auth.as_ref())?;
        let info = client.server_info()?;
        // A URL may have credentials of its own.
        if info.user.is_none() && (auth.is_some() || without_user(&url) != url) {
            let advice = "`cumulo login URL` asks for others and keeps them";
            return Err(Error::Unknown { server: info.url, advice });
        }
        Ok((client, info))
    }

    /// The URL of a server, and the credentials that belong to it.
    fn place(&self, server: &Server) -> Result<(String, Option<Credentials>)> {
        match server {
            Server::Chosen => self.chosen(),
            Server::Profile(name) => {
                let profile = self.profiles()?.named(name)?;
                Ok((profile.server.clone(), profile.credentials()))
            }
            Server::Url(url) => Ok((url.clone(), self.for_url(url)?)),
        }
    }

    /// A client of a server, with these credentials.
    pub fn connect_to(&self, url: &str, credentials: Option<&Credentials>) -> Result<Client> {
        let auth = credentials.map(auth_of).transpose()?;
        self.connect_as(url, auth)
    }

    /// A client of a server, as somebody.
    pub(crate) fn connect_as(&self, url: &str, auth: Option<Arc<dyn Auth>>) -> Result<Client> {
        let mut builder = Client::builder(url)
            .user_agent(concat!("cumulo/", env!("CARGO_PKG_VERSION")))
            .timeout(self.connect.timeout)
            .retry(Retry::times(self.connect.retry));
        if auth.is_some() {
            builder = builder.shared_auth(auth);
        }
        Ok(builder.build_blocking()?)
    }

    /// The server in use: options and environment, then the profile. The credentials of a profile
    /// are for its own server only.
    fn chosen(&self) -> Result<(String, Option<Credentials>)> {
        let Connect { server, auth, .. } = &self.connect;
        if let (Some(server), Some(auth)) = (server, auth) {
            return Ok((server.clone(), Some(Credentials::Text(auth.clone()))));
        }
        let profile = self.profile()?;
        let Some(url) = server.as_ref().or(profile.map(|it| &it.server)) else {
            return Err(Error::Usage(
                "no server is chosen\n  keep one with `cumulo login URL`, or give --server URL"
                    .to_owned(),
            ));
        };
        let given = auth.clone().map(Credentials::Text);
        let own = || profile.filter(|it| is_same(&it.server, url))?.credentials();
        Ok((url.clone(), given.or_else(own)))
    }

    /// The credentials for a server that is named by its URL: those of the options, unless they are
    /// for another server, or those of a profile with this URL.
    fn for_url(&self, url: &str) -> Result<Option<Credentials>> {
        let Connect { server, auth, .. } = &self.connect;
        if auth.is_some() && server.as_ref().is_none_or(|it| is_same(it, url)) {
            return Ok(auth.clone().map(Credentials::Text));
        }
        let in_use = self.profile()?.filter(|it| is_same(&it.server, url));
        let profile = in_use.or(self.profiles()?.of_server(url));
        Ok(profile.and_then(Profile::credentials))
    }

    /// The options of the command line.
    pub fn options(&self) -> &Connect {
        &self.connect
    }

    /// Where results go.
    pub fn output(&self, format: &Format) -> Output {
        Output::new(format, self.connect.quiet)
    }

    /// A bar on the standard error, or nothing if that is no terminal or nobody wants to see it.
    /// Without a total, it only counts.
    pub fn progress(&self, unit: Unit, total: Option<u64>) -> ProgressBar {
        let bar = match total {
            Some(total) => ProgressBar::new(total),
            None => ProgressBar::no_length(),
        };
        let bar = bar.with_style(style(unit, total.is_some()));
        if self.connect.quiet || !std::io::stderr().is_terminal() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        } else {
            // Drawn by the clock, not with each step.
            bar.enable_steady_tick(REDRAWN);
        }
        bar
    }

    /// A line on the standard error, unless nobody wants to see it.
    pub fn remark(&self, text: &str) {
        if !self.connect.quiet {
            // Nobody is left to tell if this fails.
            let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("{text}\n"));
        }
    }
}

/// What puts credentials into requests. Nobody is asked again for a login that is over.
fn auth_of(credentials: &Credentials) -> Result<Arc<dyn Auth>> {
    Ok(match credentials {
        Credentials::Text(text) => auth::parse(text.expose_secret())?.into(),
        Credentials::OpenId { provider, tokens } => {
            let login = CachedLogin::new().cache_file(tokens);
            Arc::new(if provider.is_empty() { login } else { login.provider(provider) })
        }
    })
}

/// What a bar counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes of a file.
    Bytes,
    /// Objects, and what they are called.
    Objects(&'static str),
}

fn style(unit: Unit, has_total: bool) -> ProgressStyle {
    let template = match (unit, has_total) {
        (Unit::Bytes, true) => "{wide_bar} {bytes} of {total_bytes}, {eta} left".to_owned(),
        (Unit::Bytes, false) => "{bytes}, {elapsed}".to_owned(),
        (Unit::Objects(name), true) => {
            format!("{{wide_bar}} {{human_pos}} of {{human_len}} {name}, {{eta}} left")
        }
        (Unit::Objects(name), false) => {
            format!("{{human_pos}} {name}, {{elapsed}}, {{per_sec}}")
        }
    };
    ProgressStyle::with_template(&template).expect("the template is right")
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    fn context(folder: &Path, options: [Option<&str>; 3]) -> Context {
        let [profile, server, auth] = options.map(|it| it.map(str::to_owned));
        let connect = Connect { profile, server, auth: auth.map(Into::into), ..Connect::default() };
        let surroundings =
            Surroundings { config: Some(folder.to_owned()), program: clap::Command::default };
        Context::new(&connect, &surroundings)
    }

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let profile = |server: &str, auth: &str| Profile {
            server: server.to_owned(),
            auth: Some(auth.to_owned().into()),
            ..Profile::default()
        };
        let mut profiles = Profiles::read(Some(folder.path())).unwrap();
        profiles.set("default", profile("http://one/v1", "one:1")).unwrap();
        profiles.set("two", profile("http://two/v1", "two:2")).unwrap();
        folder
    }

    fn text(credentials: Option<&Credentials>) -> Option<&str> {
        match credentials? {
            Credentials::Text(text) => Some(text.expose_secret()),
            Credentials::OpenId { .. } => panic!(),
        }
    }

    #[test]
    fn options_win_and_credentials_stay_with_their_server() {
        let folder = folder();
        for (options, expected) in [
            ([None, None, None], ("http://one/v1", Some("one:1"))),
            ([Some(""), Some(""), Some("")], ("http://one/v1", Some("one:1"))),
            ([Some("two"), None, None], ("http://two/v1", Some("two:2"))),
            ([None, None, Some("a:b")], ("http://one/v1", Some("a:b"))),
            ([None, Some("http://three/v1"), None], ("http://three/v1", None)),
            ([None, Some("http://one/v1/"), None], ("http://one/v1/", Some("one:1"))),
            ([Some("two"), Some("http://one/v1"), None], ("http://one/v1", None)),
            ([None, Some("http://three/v1"), Some("a:b")], ("http://three/v1", Some("a:b"))),
        ] {
            let (server, auth) = context(folder.path(), options).chosen().unwrap();
            assert_eq!((server.as_str(), text(auth.as_ref())), expected, "{options:?}");
        }
    }

    #[test]
    fn a_url_gets_the_credentials_that_are_meant_for_it() {
        let folder = folder();
        for (options, url, expected) in [
            ([None, None, None], "http://one/v1", Some("one:1")),
            ([None, None, None], "http://two/v1", Some("two:2")),
            ([None, None, None], "http://three/v1", None),
            ([None, None, Some("a:b")], "http://three/v1", Some("a:b")),
            ([None, Some("http://one/v1"), Some("a:b")], "http://three/v1", None),
        ] {
            let auth = context(folder.path(), options).for_url(url).unwrap();
            assert_eq!(text(auth.as_ref()), expected, "{options:?} {url}");
        }
    }

    #[test]
    fn no_server_and_no_such_profile_are_mistakes() {
        let folder = tempfile::tempdir().unwrap();
        let error = |options| context(folder.path(), options).chosen().unwrap_err().to_string();
        assert!(error([None, None, None]).contains("cumulo login URL"));
        assert!(error([Some("work"), None, None]).contains("no profile 'work'"));
    }

    #[test]
    fn profiles_are_not_read_in_vain() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("profiles.toml"), "nonsense").unwrap();
        let options = [None, Some("http://one/v1"), Some("a:b")];
        assert!(context(folder.path(), options).chosen().is_ok());
        assert!(context(folder.path(), [None; 3]).chosen().is_err());
    }
}
