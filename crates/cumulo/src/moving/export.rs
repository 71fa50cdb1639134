//! `cumulo export`: everything that the storage holds, as lines of JSON.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, bail};
use cumulo_core::clock::{Clock, SystemClock};
use cumulo_moving::{
    Watch,
    export::{Open, export, header},
};

use super::progress::{Progress, Unit};
use crate::{args, config::Env};

const BY: &str = concat!("cumulo ", env!("CARGO_PKG_VERSION"));

/// Runs the command.
pub(crate) fn run(args: &args::Export, env: &Env) -> anyhow::Result<()> {
    let output = Output::of(&args.output)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let (_logs, store) = super::open(&args.stored, env, &clock)?;
    let progress = Arc::new(Progress::new(Unit::Objects, args.stored.common.quiet));
    let watch: Arc<dyn Watch> = Arc::clone(&progress) as _;
    let moving = export(&store, header(clock.now(), BY), output.opener(), watch);
    let moved = super::block_on(moving)?;
    store.close();
    let trailer = moved?;
    output.complete()?;
    progress.finish(&format!(
        "Exported {} lists, {} objects, {} tombstones and {} memberships, SHA-256 {}.",
        trailer.lists, trailer.objects, trailer.tombstones, trailer.memberships, trailer.sha256
    ));
    Ok(())
}

/// Where the export goes.
enum Output {
    Stdout,
    /// A file that gets its name when it is whole.
    File {
        name: PathBuf,
        part: PathBuf,
    },
}

impl Output {
    fn of(name: &Path) -> anyhow::Result<Self> {
        if name == Path::new("-") {
            return Ok(Self::Stdout);
        }
        if name.exists() {
            bail!("{} is there already", name.display());
        }
        let mut part = name.as_os_str().to_owned();
        part.push(".part");
        Ok(Self::File { name: name.into(), part: part.into() })
    }

    fn opener(&self) -> Open {
        match self {
            Self::Stdout => {
                let mut fresh = true;
                Box::new(move || {
                    if !std::mem::take(&mut fresh) {
                        return Err(io::Error::other("the snapshot was lost; export to a file"));
                    }
                    Ok(Box::new(BufWriter::new(io::stdout())) as Box<dyn Write + Send>)
                })
            }
            Self::File { part, .. } => {
                let part = part.clone();
                Box::new(move || Ok(Box::new(BufWriter::new(private_file(&part)?))))
            }
        }
    }

    /// Gives the file its name.
    fn complete(&self) -> anyhow::Result<()> {
        let Self::File { name, part } = self else { return Ok(()) };
        let done = File::open(part).and_then(|file| file.sync_all());
        let done = done.and_then(|()| fs::rename(part, name));
        done.with_context(|| format!("can't complete {}", name.display()))
    }
}

/// An empty file that only its owner can read: it holds everything, password hashes too.
fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
