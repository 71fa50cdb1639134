//! `cumulo completions`

use std::io::{self, Write as _};

use clap_complete::Shell;

use crate::{Result, Surroundings};

pub(super) const EXAMPLES: &str = "\
Examples:
  cumulo completions bash > cumulo.bash    # in ~/.local/share/bash-completion/completions/cumulo
  cumulo completions zsh > _cumulo         # in a folder of $fpath
  cumulo completions fish > cumulo.fish    # in ~/.config/fish/completions/";

/// The arguments.
#[derive(Debug, clap::Args)]
pub struct Completions {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self, surroundings: &Surroundings) -> Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut (surroundings.program)(), "cumulo", &mut script);
        Ok(io::stdout().lock().write_all(&script)?)
    }
}
