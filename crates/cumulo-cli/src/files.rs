//! Files that appear whole or not at all.

use std::{fs, path::Path};

use tempfile::{Builder, NamedTempFile};

use crate::{Error, Result};

/// An empty file beside the one that it will become.
pub(crate) fn beside(path: &Path, builder: &Builder<'_, '_>) -> Result<NamedTempFile> {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Errors are about the file that was asked for: the name of the other means nothing to people.
    fs::metadata(folder).map_err(|error| Error::file(path, error))?;
    builder.tempfile_in(folder).map_err(|error| Error::file(path, error.kind().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_file_that_was_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nowhere/all.json");
        let error = beside(&path, &Builder::new()).unwrap_err().to_string();
        let expected = format!("{}: No such file or directory (os error 2)", path.display());
        assert_eq!(error, expected);
    }
}
