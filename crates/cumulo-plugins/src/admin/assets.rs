//! The files of the folder, read at start.

use std::{
    borrow::Cow,
    collections::HashMap,
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::Path,
};

/// The most bytes that the files may have together: they are kept in memory.
const MAX_BYTES: u64 = 64 << 20;
/// The most files, and how deep folders may be in each other.
const MAX_FILES: usize = 10_000;
const MAX_DEPTH: usize = 16;

/// A file as it is served.
pub(super) struct Asset {
    pub(super) bytes: Cow<'static, [u8]>,
    pub(super) content_type: &'static str,
    /// Its `ETag`, with the quotes.
    pub(super) tag: String,
}

impl Asset {
    pub(super) fn new(name: &str, bytes: impl Into<Cow<'static, [u8]>>) -> Self {
        let bytes = bytes.into();
        // The same for the same bytes, in every copy of the service.
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        let tag = format!("\"{:x}-{:016x}\"", bytes.len(), hasher.finish());
        Self { bytes, content_type: content_type(name), tag }
    }
}

/// All files, by their paths in the folder.
pub(super) struct Assets {
    pub(super) version: String,
    files: HashMap<String, Asset>,
}

impl Assets {
    /// Reads a folder. The error is a sentence.
    pub(super) fn read(folder: &Path) -> Result<Self, String> {
        let mut reading = Reading { files: HashMap::new(), bytes: 0 };
        reading.folder(folder, "", 0)?;
        let files = reading.files;
        let in_folder = || folder.display();
        if !files.contains_key("index.html") {
            return Err(format!("there is no index.html in {}", in_folder()));
        }
        let version = files.get("VERSION");
        let version = version.ok_or_else(|| format!("there is no VERSION in {}", in_folder()))?;
        let version = str::from_utf8(&version.bytes).map(str::trim).unwrap_or_default();
        if version.is_empty() {
            return Err(format!("VERSION in {} has no text", in_folder()));
        }
        Ok(Self { version: version.to_owned(), files })
    }

    pub(super) fn get(&self, name: &str) -> Option<&Asset> {
        self.files.get(name)
    }
}

struct Reading {
    files: HashMap<String, Asset>,
    bytes: u64,
}

impl Reading {
    fn folder(&mut self, folder: &Path, prefix: &str, depth: usize) -> Result<(), String> {
        let failed = |error| format!("{} can't be read: {error}", folder.display());
        if depth > MAX_DEPTH {
            return Err(format!("{} is too deep", folder.display()));
        }
        for entry in fs::read_dir(folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let (path, name) = (entry.path(), format!("{prefix}{name}"));
            let facts = fs::metadata(&path).map_err(failed)?;
            if facts.is_dir() {
                self.folder(&path, &format!("{name}/"), depth + 1)?;
            } else {
                self.file(&path, name, facts.len())?;
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, name: String, bytes: u64) -> Result<(), String> {
        self.bytes += bytes;
        if self.bytes > MAX_BYTES || self.files.len() >= MAX_FILES {
            let most = MAX_BYTES >> 20;
            return Err(format!(
                "more than {most} MB, or {MAX_FILES} files, at {}",
                path.display()
            ));
        }
        let bytes = fs::read(path);
        let bytes = bytes.map_err(|error| format!("{} can't be read: {error}", path.display()))?;
        let asset = Asset::new(&name, bytes);
        self.files.insert(name, asset);
        Ok(())
    }
}

/// What a file is, by its name.
fn content_type(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    match extension.as_deref().unwrap_or_default() {
        "html" | "htm" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "ico" => "image/x-icon",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "ttf" => "font/ttf",
        "otf" => "font/otf",
        "wasm" => "application/wasm",
        "xml" => "application/xml",
        "pdf" => "application/pdf",
        "txt" | "md" => "text/plain; charset=utf-8",
        _ if name == "VERSION" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_what_their_names_say() {
        assert_eq!(content_type("a/b.JS"), "text/javascript; charset=utf-8");
        assert_eq!(content_type("app.css.map"), "application/json");
        assert_eq!(content_type("VERSION"), "text/plain; charset=utf-8");
        assert_eq!(content_type("README"), "application/octet-stream");
    }

    #[test]
    fn tags_tell_contents_apart() {
        assert_eq!(Asset::new("a", &b"x"[..]).tag, Asset::new("b", &b"x"[..]).tag);
        assert_ne!(Asset::new("a", &b"x"[..]).tag, Asset::new("a", &b"y"[..]).tag);
    }
}
