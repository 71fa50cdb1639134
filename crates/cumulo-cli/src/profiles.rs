//! Profiles: servers and credentials, in a file that only its owner can read.
//!
//! ```toml
//! [default]
//! server = "https://example.com/v1"
//! auth = "alice:secret"
//! ```

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Error, Result, address};

/// The profile in use when none is named.
pub(crate) const DEFAULT: &str = "default";

/// A server, and who is known there.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The URL, with its version.
    pub server: String,
    /// `user:password`, or a scheme and its token.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "exposed",
        deserialize_with = "hidden"
    )]
    pub auth: Option<SecretString>,
    /// The provider that the user has logged in at, in place of `auth`; the server's first if it is
    /// empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub openid: Option<String>,
    /// The file with the tokens of that login.
    #[serde(skip)]
    pub(crate) tokens: PathBuf,
}

/// How somebody is known to a server.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// `user:password`, or a scheme and its token.
    Text(SecretString),
    /// A login at a provider.
    OpenId {
        /// Its name; the server's first if it is empty.
        provider: String,
        /// The file with the tokens.
        tokens: PathBuf,
    },
}

impl Profile {
    /// Who is known at the server; nobody if there are no credentials.
    pub fn credentials(&self) -> Option<Credentials> {
        match (&self.auth, &self.openid) {
            (Some(auth), _) => Some(Credentials::Text(auth.clone())),
            (None, Some(provider)) => {
                let (provider, tokens) = (provider.clone(), self.tokens.clone());
                Some(Credentials::OpenId { provider, tokens })
            }
            (None, None) => None,
        }
    }
}

/// All profiles of a person.
#[derive(Clone, Debug, Default)]
pub struct Profiles {
    path: Option<PathBuf>,
    profiles: BTreeMap<String, Profile>,
}

impl Profiles {
    /// Reads `profiles.toml` in a folder; a file that is not there holds none.
    pub fn read(folder: Option<&Path>) -> Result<Self> {
        let Some(path) = folder.map(|it| it.join("profiles.toml")) else {
            return Ok(Self::default());
        };
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self { path: Some(path), profiles: BTreeMap::new() });
            }
            Err(error) => return Err(Error::file(&path, error)),
        };
        check_owner_only(&path)?;
        let mut profiles: BTreeMap<String, Profile> = toml::from_str(&text).map_err(|error| {
            // The message alone: what is around it may be a password.
            Error::Profile(format!("{}: {}", path.display(), error.message()))
        })?;
        for (name, profile) in &mut profiles {
            profile.tokens = tokens_of(&path, name);
        }
        Ok(Self { path: Some(path), profiles })
    }

    /// The file with the tokens of a profile that logs in at a provider.
    pub(crate) fn tokens(&self, name: &str) -> Result<PathBuf> {
        self.path.as_ref().map(|path| tokens_of(path, name)).ok_or_else(no_folder)
    }

    /// The names, in alphabetical order, with what they stand for.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Profile)> {
        self.profiles.iter().map(|(name, profile)| (name.as_str(), profile))
    }

    /// One that must be there.
    pub fn named(&self, name: &str) -> Result<&Profile> {
        self.profiles.get(name).ok_or_else(|| {
            let unknown = self.unknown(name);
            let advice = format!("make it with: cumulo login URL --profile {name}");
            Error::Profile(format!("{unknown}\n  {advice}"))
        })
    }

    /// In words that a profile is not there, and which are.
    fn unknown(&self, name: &str) -> String {
        let names: Vec<_> = self.profiles.keys().map(String::as_str).collect();
        let known = match names[..] {
            [] => "there are none yet".to_owned(),
            _ => format!("there are: {}", names.join(", ")),
        };
        format!("there is no profile '{name}' ({known})")
    }

    /// One, if it is there.
    pub fn get(&self, name: &str) -> Option<&Profile> {
        self.profiles.get(name)
    }

    /// One of this server, if there is any.
    pub fn of_server(&self, url: &str) -> Option<&Profile> {
        self.profiles.values().find(|it| is_same(&it.server, url))
    }

    /// Keeps a profile, and writes the file.
    pub fn set(&mut self, name: &str, profile: Profile) -> Result<()> {
        check_name(name)?;
        self.profiles.insert(name.to_owned(), profile);
        self.write()
    }

    /// Forgets a profile that must be there, and writes the file.
    pub fn remove(&mut self, name: &str) -> Result<()> {
        let unknown = || Error::Profile(self.unknown(name));
        let tokens = self.get(name).ok_or_else(unknown)?.tokens.clone();
        match fs::remove_file(&tokens) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::file(&tokens, error));
            }
            _ => {}
        }
        self.profiles.remove(name);
        self.write()
    }

    /// The file appears whole or not at all, and nobody else can ever read it.
    fn write(&self) -> Result<()> {
        let path = self.path.as_ref().ok_or_else(no_folder)?;
        // Behind a link, the file is another: the link stays.
        let path = &fs::canonicalize(path).unwrap_or_else(|_| path.clone());
        let text = toml::to_string(&self.profiles)
            .map_err(|error| Error::Profile(format!("{}: {error}", path.display())))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let write = || {
            fs::create_dir_all(folder)?;
            let file = tempfile::NamedTempFile::new_in(folder)?;
            fs::write(file.path(), text)?;
            file.as_file().sync_all()?;
            file.persist(path).map_err(|error| error.error)
        };
        write().map(|_| ()).map_err(|error| Error::file(path, error))
    }
}

fn tokens_of(path: &Path, name: &str) -> PathBuf {
    path.with_file_name(format!("login-{name}.json"))
}

fn no_folder() -> Error {
    let problem = "there is no folder for settings: set HOME or XDG_CONFIG_HOME";
    Error::Profile(problem.to_owned())
}

pub(crate) fn check_name(name: &str) -> Result<()> {
    if address::is_profile(name) {
        return Ok(());
    }
    let problem = "use letters, digits, '-', '_' and '.'";
    Err(Error::Usage(format!("'{name}' is not the name of a profile: {problem}")))
}

/// Whether two URLs mean the same server.
pub(crate) fn is_same(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
}

#[expect(clippy::ref_option, reason = "serde calls it so")]
fn exposed<S: Serializer>(auth: &Option<SecretString>, serializer: S) -> Result<S::Ok, S::Error> {
    auth.as_ref().map(ExposeSecret::expose_secret).serialize(serializer)
}

fn hidden<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(Into::into))
}

#[cfg(unix)]
fn check_owner_only(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = fs::metadata(path).map_err(|error| Error::file(path, error))?;
    let of_others = metadata.permissions().mode() & 0o077;
    if of_others == 0 {
        return Ok(());
    }
    let path = path.display();
    Err(Error::Profile(format!(
        "others can read the credentials in {path}\n  close it with: chmod 600 {path}"
    )))
}

#[cfg(not(unix))]
fn check_owner_only(_path: &Path) -> Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(auth: &str) -> Profile {
        Profile {
            server: "http://localhost/v1".into(),
            auth: Some(auth.to_owned().into()),
            ..Profile::default()
        }
    }

    #[test]
    fn profiles_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("new");
        let read = || Profiles::read(Some(&folder)).unwrap();
        read().set("work", profile("ann:\"a\" \\b")).unwrap();
        read().set("home", profile("Bearer x")).unwrap();
        let profiles = read();
        assert_eq!(profiles.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["home", "work"]);
        let auth = profiles.named("work").unwrap().auth.as_ref().unwrap();
        assert_eq!(auth.expose_secret(), "ann:\"a\" \\b");
        assert!(profiles.of_server("http://localhost/v1/").is_some());
        read().remove("work").unwrap();
        let error = read().named("work").unwrap_err().to_string();
        assert!(error.contains("there are: home"), "{error}");
        assert!(read().remove("work").is_err());
        assert!(read().set("a:b", profile("")).is_err());
    }

    #[test]
    fn secrets_are_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let mut profiles = Profiles::read(Some(folder.path())).unwrap();
        profiles.set("work", profile("ann:secret")).unwrap();
        assert!(!format!("{profiles:?}").contains("secret"));
        let path = folder.path().join("profiles.toml");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("\"ann:secret\"", "[\"ann:secret\"]")).unwrap();
        let error = Profiles::read(Some(folder.path())).unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_can_read_the_file() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        Profiles::read(Some(folder.path())).unwrap().set("work", profile("a:b")).unwrap();
        let path = folder.path().join("profiles.toml");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = Profiles::read(Some(folder.path())).unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_the_file_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (real, linked) = (folder.path().join("real.toml"), folder.path().join("profiles.toml"));
        Profiles::read(Some(folder.path())).unwrap().set("work", profile("a:b")).unwrap();
        fs::rename(&linked, &real).unwrap();
        std::os::unix::fs::symlink(&real, &linked).unwrap();
        Profiles::read(Some(folder.path())).unwrap().set("home", profile("c:d")).unwrap();
        assert!(fs::symlink_metadata(&linked).unwrap().is_symlink());
        assert!(fs::read_to_string(&real).unwrap().contains("[home]"));
    }

    #[test]
    fn without_a_folder_nothing_can_be_kept() {
        let mut profiles = Profiles::read(None).unwrap();
        assert!(profiles.set("work", profile("a:b")).is_err());
    }
}
