//! The binary: everything is in the library.

use std::process::ExitCode;

/// musl's own allocator is slow under several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    foundry_agent::cli::main()
}
