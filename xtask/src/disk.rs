//! `cargo xtask disk`: a full disk and a read-only file.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use cumulo_e2e::Program;
use cumulo_e2e::disk::{self, Limit};

use crate::packages::is_root;
use crate::project;
use crate::steps::Tally;

#[derive(Args, Default)]
pub(crate) struct Arguments {
    /// Another build of our program
    #[arg(long, value_name = "PATH")]
    server: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Tally> {
    let executable = match &arguments.server {
        Some(path) => path.canonicalize()?,
        None => project::release_build("cumulo")?,
    };
    let program = Program::cumulo(&executable);
    let mut tally = Tally::default();
    let mut check = |name: &str, run: &dyn Fn() -> Result<()>| match run() {
        Ok(()) => {
            println!("ok      {name}");
            tally.passed += 1;
        }
        Err(error) => {
            println!("FAILED  {name}: {error:#}");
            tally.failed += 1;
        }
    };
    check("files that cannot grow", &|| {
        disk::fill(&program, tempfile::tempdir()?.path(), Limit::FileSize)
    });
    check("a read-only file", &|| {
        disk::read_only(&executable, tempfile::tempdir()?.path(), is_root()?)
    });
    if disk::can_mount()? {
        check("a full file system", &|| {
            disk::fill(&program, tempfile::tempdir()?.path(), Limit::FileSystem)
        });
    } else {
        println!("skipped a full file system: only root may mount one");
        tally.skipped += 1;
    }
    Ok(tally)
}
