//! Random keys, and the file in the data folder that keeps them.

use std::{
    fmt::Write as _,
    fs,
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use rand::{TryRngCore as _, rngs::OsRng};
use secrecy::SecretString;

use crate::ini;

/// The settings that are secrets which the program makes up.
pub(crate) const NAMES: [&str; 2] = ["userid_hmac_secret", "default_bucket_hmac_secret"];

const FILE: &str = "secrets.ini";
const POLICIES: &str = "multiauth.policies";
/// A file without policies is of an earlier version, which knew basic authentication only.
const HEADER: &str = "\
# The keys of this service, made when it started for the first time. Keep this file with the data:
# with other keys, every user has another default bucket, and without the next line any name and
# password are a user.
[app:main]
multiauth.policies = account
";

/// The file in a data folder.
pub(crate) fn file(folder: &Path) -> PathBuf {
    folder.join(FILE)
}

/// Whether the settings of a folder say who its users are.
pub(crate) fn tell_policies(settings: &[(String, String)]) -> bool {
    settings.iter().any(|(name, _)| name == POLICIES)
}

/// The secrets of a data folder as settings, made up when there are none yet.
pub(crate) fn of_folder(folder: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let path = file(folder);
    if !path.try_exists()? {
        create(folder, &path)
            .with_context(|| format!("can't write the secrets to {}", path.display()))?;
    }
    Ok(ini::read(&path, 0)?.0.app)
}

fn create(folder: &Path, path: &Path) -> anyhow::Result<()> {
    let mut text = HEADER.to_owned();
    for name in NAMES {
        writeln!(text, "{name} = {}", fresh()?)?;
    }
    // Whole or not at all, and readable by its owner only; tempfile sees to both.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        // Another process was faster: its secrets count.
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => {}
        done => drop(done?),
    }
    // The name must survive a power cut too. Not every system can do that for a folder.
    if let Ok(folder) = fs::File::open(folder) {
        let _ = folder.sync_all();
    }
    Ok(())
}

/// 32 random bytes, in hexadecimal.
pub(crate) fn fresh() -> anyhow::Result<String> {
    let mut bytes = [0; 32];
    OsRng.try_fill_bytes(&mut bytes).context("the system has no random numbers")?;
    Ok(hex(&bytes))
}

/// A password of a hundred random bits, easy to read and to paste.
pub(crate) fn fresh_password() -> anyhow::Result<SecretString> {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = [0; 20];
    OsRng.try_fill_bytes(&mut bytes).context("the system has no random numbers")?;
    Ok(bytes
        .iter()
        .map(|byte| char::from(LETTERS[usize::from(byte % 32)]))
        .collect::<String>()
        .into())
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let first = of_folder(folder.path()).unwrap();
        assert!(tell_policies(&first));
        let secrets: Vec<_> =
            first.iter().filter(|(name, _)| NAMES.contains(&name.as_str())).collect();
        assert_eq!(secrets.len(), 2);
        assert!(secrets.iter().all(|(_, value)| value.len() == 64));
        assert_ne!(secrets[0].1, secrets[1].1);
        assert_eq!(of_folder(folder.path()).unwrap(), first);
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_reads_them() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        of_folder(folder.path()).unwrap();
        let mode = fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
