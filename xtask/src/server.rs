//! The server that a task talks to: our release build, unless told otherwise.

use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use cumulo_e2e::{Program, Server, Storage};
use tempfile::TempDir;

use crate::project;

#[derive(Args, Default)]
pub(crate) struct ServerArguments {
    /// Another build of our program, or the command line of any server, with {ini} and {port}
    #[arg(long, value_name = "PATH")]
    pub(crate) server: Option<String>,
    /// Where it keeps its objects
    #[arg(long, value_enum, default_value_t)]
    pub(crate) store: Store,
    /// A PostgreSQL database, instead of the store
    #[arg(long, value_name = "URL")]
    pub(crate) database: Option<String>,
}

#[derive(Clone, Copy, Default, ValueEnum)]
pub(crate) enum Store {
    Memory,
    #[default]
    Sqlite,
}

impl ServerArguments {
    /// What to start; the release build is made if it is ours.
    pub(crate) fn program(&self) -> Result<Program> {
        match &self.server {
            Some(text) if text.contains("{ini}") => Ok(Program::parse(text)),
            _ => Ok(Program::cumulo(&self.executable()?)),
        }
    }

    /// The program to start, if it is ours.
    pub(crate) fn executable(&self) -> Result<PathBuf> {
        match &self.server {
            Some(text) if text.contains("{ini}") => bail!("this needs a build of our program"),
            Some(path) => std::fs::canonicalize(path).with_context(|| format!("no {path}")),
            None => project::release_build("cumulo"),
        }
    }

    /// A server on an empty store in a temporary folder, with the settings that clients expect.
    pub(crate) fn start(&self, settings: &[(&str, &str)]) -> Result<(TempDir, Server)> {
        let folder = tempfile::tempdir()?;
        let storage = self.storage(folder.path());
        let server = Server::start(&self.program()?, folder.path(), &storage, settings)?;
        Ok((folder, server))
    }

    pub(crate) fn storage(&self, folder: &Path) -> Storage {
        if let Some(url) = &self.database {
            return Storage::Postgresql(url.clone());
        }
        match self.store {
            Store::Memory => Storage::Memory,
            Store::Sqlite => Storage::Sqlite(folder.join("cumulo.sqlite")),
        }
    }
}

/// A new beginning of randomness.
pub(crate) fn seed() -> u64 {
    RandomState::new().hash_one(())
}
