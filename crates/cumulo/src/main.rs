//! The program with the plugins that come with it.

use std::process::ExitCode;

/// Answers are many small allocations on few threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cumulo::Program::default().run()
}
