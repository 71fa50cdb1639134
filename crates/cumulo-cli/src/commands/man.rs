//! `cumulo man`

use std::{
    fs,
    io::{self, Write as _},
    path::PathBuf,
};

use clap_mangen::{Man as Page, generate_to};

use crate::{Error, Result, Surroundings};

pub(super) const EXAMPLES: &str = "\
Examples:
  cumulo man > cumulo.1
  cumulo man man1";

/// The arguments.
#[derive(Debug, clap::Args)]
pub struct Man {
    /// Folder for the pages, one for each command; without it, the page of `cumulo` is printed
    dir: Option<PathBuf>,
}

impl Man {
    pub(super) fn run(self, surroundings: &Surroundings) -> Result<()> {
        let program = (surroundings.program)();
        let Some(folder) = self.dir else {
            let mut page = Vec::new();
            Page::new(program).render(&mut page)?;
            return Ok(io::stdout().lock().write_all(&page)?);
        };
        let write = || fs::create_dir_all(&folder).and_then(|()| generate_to(program, &folder));
        write().map_err(|error| Error::file(&folder, error))
    }
}
