//! Files on this machine: the one that a download shall become, and the part of it that is there.

use std::{
    io::{self, Read as _, Seek as _},
    path::{Path, PathBuf},
};

use serde_json::Value;
use sha2::Digest as _;
use tokio::task::spawn_blocking;

use super::{File, fetch::Beginning, hex};
use crate::{Error, Result};

/// A file that a download is written to until it is whole. It stays if the download ends before, and
/// the next one goes on from there.
pub(super) struct Partial {
    pub(super) path: PathBuf,
    pub(super) file: tokio::fs::File,
    /// What it has already.
    pub(super) beginning: Beginning,
    /// Whether the next download can find it.
    is_known: bool,
}

/// Where a download goes: `path`, or under its own name into the folder `path`.
pub(super) fn place(path: &Path, file: &File) -> Result<PathBuf> {
    let is_folder = path.is_dir() || path.to_string_lossy().ends_with(std::path::is_separator);
    if !is_folder {
        return Ok(path.to_owned());
    }
    match safe_name(&file.filename) {
        Some(name) => Ok(path.join(name)),
        None => {
            let problem = format!("the name of the file, {:?}, can't be used", file.filename);
            Err(Error::Corrupt { path: path.display().to_string(), problem })
        }
    }
}

/// The last part of a name, which was chosen by who uploaded the file: it must not lead elsewhere.
fn safe_name(name: &str) -> Option<&str> {
    let last = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let is_usable = !matches!(last, "" | "." | "..") && !last.contains(['\0', ':']);
    is_usable.then_some(last)
}

/// `<file>.meta.json` beside a file.
pub(super) fn metadata_path(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".meta.json");
    path.with_file_name(name)
}

/// Whether a file is there, and is what the record says.
pub(super) async fn is_same(path: &Path, file: &File) -> Result<bool> {
    let (path, size, hash) = (path.to_owned(), file.size, file.hash.clone());
    in_background(path, move |path| {
        let mut found = match std::fs::File::open(path) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        if found.metadata()?.len() != size {
            return Ok(false);
        }
        let beginning = read(&mut found, size)?;
        Ok(hash.eq_ignore_ascii_case(&hex(&beginning.digest.finalize())))
    })
    .await
}

impl Partial {
    /// The part of a file that an earlier download has left beside `path`, or an empty one.
    ///
    /// Its name follows from that of the file and its hash, so that it is found again, and never is
    /// the part of another file. It is locked, so that two downloads don't write into it at the same
    /// time: the other one gets a file of its own.
    pub(super) async fn open(path: &Path, file: &File) -> Result<Self> {
        let path = path.to_owned();
        let hash: String = file.hash.chars().filter(char::is_ascii_hexdigit).take(16).collect();
        let size = file.size;
        let (path, is_known, file, beginning) = in_background(path, move |path| {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            let (part, is_known, mut file) = lock(path, &hash)?;
            let beginning = read(&mut file, size)?;
            if file.metadata()?.len() > size {
                file.set_len(0)?;
                file.rewind()?;
                return Ok((part, is_known, file, Beginning::default()));
            }
            Ok((part, is_known, file, beginning))
        })
        .await?;
        Ok(Self { path, file: tokio::fs::File::from_std(file), beginning, is_known })
    }

    /// Forgets what is there.
    pub(super) async fn clear(&mut self) -> Result<()> {
        self.beginning = Beginning::default();
        let cleared = async {
            self.file.set_len(0).await?;
            tokio::io::AsyncSeekExt::rewind(&mut self.file).await
        };
        cleared.await.map(drop).map_err(|source| failed(&self.path, source))
    }

    /// Gives it its name, now that it is whole and on the disk.
    pub(super) async fn finish(self, path: &Path) -> Result<()> {
        self.file.sync_all().await.map_err(|source| failed(&self.path, source))?;
        tokio::fs::rename(&self.path, path).await.map_err(|source| failed(path, source))
    }

    /// Leaves it to the next download, unless it is of no use to that.
    pub(super) async fn leave(mut self, is_corrupt: bool) {
        // What is not written is asked for again.
        let _ = tokio::io::AsyncWriteExt::flush(&mut self.file).await;
        if is_corrupt || !self.is_known || self.beginning.bytes == 0 {
            // The failure of the download is told, not that of tidying up.
            let _ = tokio::fs::remove_file(&self.path).await;
        }
    }
}

/// Opens and locks the part of a file. Also tells whether it is the one that is found again.
fn lock(path: &Path, hash: &str) -> io::Result<(PathBuf, bool, std::fs::File)> {
    let mut part = hidden(path, hash);
    let mut is_known = true;
    loop {
        let mut options = std::fs::OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(&part)?;
        match file.try_lock() {
            // Who had the lock before may have given the file its final name.
            Ok(()) if part.exists() => return Ok((part, is_known, file)),
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                part = hidden(path, &random());
                is_known = false;
            }
            Err(std::fs::TryLockError::Error(error)) => return Err(error),
        }
    }
}

/// A file beside another, which is not shown.
fn hidden(path: &Path, mark: &str) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{mark}.part"));
    path.with_file_name(name)
}

fn random() -> String {
    format!("{:016x}", rand::random::<u64>())
}

/// Reads at most so many bytes.
fn read(file: &mut std::fs::File, most: u64) -> io::Result<Beginning> {
    let mut beginning = Beginning::default();
    let mut file = file.take(most);
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(beginning),
            length => beginning.add(&buffer[..length]),
        }
    }
}

/// Writes a file that appears whole or not at all.
pub(super) async fn write_json(path: &Path, value: &Value) -> Result<()> {
    let text = serde_json::to_vec_pretty(value).expect("JSON serializes");
    in_background(path.to_owned(), move |path| {
        let part = hidden(path, &random());
        std::fs::write(&part, &text)?;
        std::fs::rename(&part, path)
    })
    .await
}

/// Works with files on a thread that may wait.
async fn in_background<T: Send + 'static>(
    path: PathBuf,
    work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> Result<T> {
    let name = path.clone();
    let done = spawn_blocking(move || work(&path)).await.map_err(io::Error::other);
    done.and_then(|done| done).map_err(|source| failed(&name, source))
}

fn failed(path: &Path, source: io::Error) -> Error {
    Error::File { path: path.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_lead_elsewhere() {
        for (name, expected) in [
            ("a.txt", Some("a.txt")),
            ("../../etc/passwd", Some("passwd")),
            ("C:\\windows\\a.txt", Some("a.txt")),
            ("é b.txt", Some("é b.txt")),
            ("..", None),
            ("a/", None),
            ("", None),
            ("a.txt:stream", None),
        ] {
            assert_eq!(safe_name(name), expected, "{name:?}");
        }
    }

    #[test]
    fn metadata_stands_beside() {
        assert_eq!(metadata_path(Path::new("a/b.txt")), Path::new("a/b.txt.meta.json"));
    }
}
