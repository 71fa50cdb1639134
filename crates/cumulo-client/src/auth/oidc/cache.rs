//! Tokens on the disk, which only the user may read.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use tokio::task::spawn_blocking;

use super::Tokens;
use crate::{Error, Result};

/// A file with the tokens of all servers and providers.
#[derive(Clone, Debug)]
pub(super) struct Cache(PathBuf);

impl Cache {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Those for a server, of the provider with this name or of any.
    pub(super) async fn find(&self, server: &str, name: Option<&str>) -> Result<Option<Tokens>> {
        let all = self.with_file(read).await?;
        Ok(all.into_iter().find(|tokens| are_for(tokens, server, name)))
    }

    /// Keeps tokens, in place of earlier ones for the same server and provider. They come first.
    pub(super) async fn put(&self, tokens: &Tokens) -> Result<()> {
        let tokens = tokens.clone();
        self.with_file(move |path| {
            let mut all = read(path)?;
            all.retain(|other| !are_for(other, &tokens.server, Some(&tokens.provider)));
            all.insert(0, tokens);
            write(path, &all)
        })
        .await
    }

    /// Forgets those for a server, of the provider with this name or of all.
    pub(super) async fn remove(&self, server: &str, name: Option<&str>) -> Result<()> {
        let (server, name) = (server.to_owned(), name.map(str::to_owned));
        self.with_file(move |path| {
            let mut all = read(path)?;
            let count = all.len();
            all.retain(|tokens| !are_for(tokens, &server, name.as_deref()));
            if all.len() == count { Ok(()) } else { write(path, &all) }
        })
        .await
    }

    async fn with_file<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let path = self.0.clone();
        let done = spawn_blocking(move || work(&path)).await.map_err(io::Error::other);
        let failed = |source| Error::File { path: self.0.display().to_string(), source };
        done.and_then(|done| done).map_err(failed)
    }
}

fn are_for(tokens: &Tokens, server: &str, name: Option<&str>) -> bool {
    tokens.server == server && name.is_none_or(|name| tokens.provider == name)
}

/// A file that holds something else is an error, so that it is not written over.
fn read(path: &Path) -> io::Result<Vec<Tokens>> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    serde_json::from_slice(&text).map_err(|error| {
        let problem = format!("this is no file with logins: {error}");
        io::Error::new(io::ErrorKind::InvalidData, problem)
    })
}

/// Writes a file that appears whole, and that nobody else can read.
fn write(path: &Path, all: &[Tokens]) -> io::Result<()> {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    // Has the mode 0600.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    serde_json::to_writer_pretty(&mut file, all)?;
    file.flush()?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{super::tokens::tests::provider, *};

    fn tokens(server: &str, provider_name: &str, token: &str) -> Tokens {
        let answer = serde_json::json!({"access_token": token});
        let answer: super::super::tokens::Answer = serde_json::from_value(answer).unwrap();
        let tokens = answer.into_tokens(server, &provider()).unwrap();
        Tokens { provider: provider_name.to_owned(), ..tokens }
    }

    #[tokio::test]
    async fn tokens_are_kept_by_server_and_provider() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().join("a/logins"));
        assert_eq!(cache.find("http://a", None).await.unwrap(), None);
        let (one, two) = (tokens("http://a", "one", "1"), tokens("http://a", "two", "2"));
        let other = tokens("http://b", "one", "3");
        for tokens in [&one, &two, &other, &one] {
            cache.put(tokens).await.unwrap();
        }
        assert_eq!(cache.find("http://a", None).await.unwrap(), Some(one.clone()));
        assert_eq!(cache.find("http://a", Some("two")).await.unwrap(), Some(two));
        assert_eq!(cache.find("http://a", Some("three")).await.unwrap(), None);
        cache.remove("http://a", None).await.unwrap();
        assert_eq!(cache.find("http://a", None).await.unwrap(), None);
        assert_eq!(cache.find("http://b", None).await.unwrap(), Some(other));
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn nobody_else_reads_them() {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logins");
        std::fs::write(&path, "[]").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        Cache::new(path.clone()).put(&tokens("http://a", "one", "1")).await.unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[tokio::test]
    async fn other_files_are_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes");
        std::fs::write(&path, "my notes").unwrap();
        let cache = Cache::new(path.clone());
        let error = cache.put(&tokens("http://a", "one", "1")).await.unwrap_err();
        assert!(error.to_string().contains("this is no file with logins"), "{error}");
        assert_eq!(std::fs::read_to_string(path).unwrap(), "my notes");
    }
}
