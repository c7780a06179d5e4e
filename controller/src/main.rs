//! The `foundry` command: see [`foundry::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    foundry::cli::main()
}
