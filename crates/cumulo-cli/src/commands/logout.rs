//! `cumulo logout`

use crate::{Connect, Context, Result, Surroundings};

pub(super) const EXAMPLES: &str = "\
Example:
  cumulo logout nobody";

/// The arguments.
#[derive(Debug, clap::Args)]
pub struct Logout {
    /// The profile, as `login --list` shows it
    name: String,
    /// Make no remarks
    #[arg(short, long)]
    quiet: bool,
}

impl Logout {
    pub(super) fn run(self, surroundings: &Surroundings) -> Result<()> {
        let connect = Connect { quiet: self.quiet, ..Connect::default() };
        let context = Context::new(&connect, surroundings);
        context.profiles()?.clone().remove(&self.name)?;
        context.remark(&format!("the profile '{}' is forgotten", self.name));
        Ok(())
    }
}
