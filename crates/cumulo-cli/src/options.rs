//! Options that several commands share.

use std::time::Duration;

use clap::ValueEnum;
use secrecy::SecretString;

/// Which server, and who asks.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Server")]
pub struct Connect {
    /// Profile to use [default: default]
    #[arg(long, value_name = "NAME", env = "CUMULO_PROFILE")]
    pub profile: Option<String>,
    /// The server, with its version: `https://…/v1` [default: that of the profile]
    #[arg(long, value_name = "URL", env = "CUMULO_SERVER")]
    pub server: Option<String>,
    /// `user:password` or `Bearer TOKEN`; others on this machine may see the option: better use the
    /// environment, or a profile [default: those of the profile, if the server is its own]
    #[arg(long, value_name = "CREDENTIALS", env = "CUMULO_AUTH", hide_env_values = true)]
    pub auth: Option<SecretString>,
    /// How often to repeat what may succeed later
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub retry: u32,
    /// How long a request may take [default: as long as the server is not silent for a minute]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub timeout: Option<Duration>,
    /// Show no progress and no remarks
    #[arg(short, long)]
    pub quiet: bool,
}

/// How results are written.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Format {
    /// How to write what comes [default: table at a terminal; elsewhere ndjson, or json for one
    /// object]
    #[arg(short, long, value_name = "FORMAT", value_enum)]
    pub output: Option<Shape>,
    /// The fields to write, in this order; those in a field in dots: `author.name`
    #[arg(long, value_name = "FIELD,…", value_delimiter = ',')]
    pub columns: Vec<String>,
}

/// A way to write objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shape {
    /// Columns for people
    Table,
    /// JSON; many objects are one list
    Json,
    /// An object on each line
    Ndjson,
    /// Comma-separated values with a line of names
    Csv,
}

/// A number of seconds that is not negative, such as `0.5`.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "expected a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

/// How long to wait between requests: not so short that the server is kept busy.
pub(crate) fn interval(text: &str) -> Result<Duration, String> {
    let shortest = Duration::from_millis(100);
    match seconds(text)? {
        interval if interval < shortest => Err("expected 0.1 s or more".to_owned()),
        interval => Ok(interval),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_have_fractions_and_no_sign() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for text in ["-1", "soon", "inf", "NaN", ""] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn intervals_are_not_too_short() {
        assert_eq!(interval("0.1"), Ok(Duration::from_millis(100)));
        assert!(interval("0.09").is_err() && interval("0").is_err());
    }
}
