//! Counts the records of a collection:
//!
//! ```sh
//! cargo run -p cumulo-client --features cli --example count_records -- \
//!     --server http://localhost:8888/v1 --auth ann:secret --collection notes
//! ```

use std::process::ExitCode;

use clap::Parser;
use cumulo_client::{Result, cli::ClientArgs};

/// Count the records of a collection
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    client: ClientArgs,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    arguments.client.init_logging();
    match count(&arguments.client) {
        Ok(count) => {
            tracing::warn!("{count} records.");
            ExitCode::SUCCESS
        }
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn count(arguments: &ClientArgs) -> Result<usize> {
    let client = arguments.blocking_client()?;
    tracing::info!("Fetch records.");
    Ok(client.records().list().all()?.len())
}
