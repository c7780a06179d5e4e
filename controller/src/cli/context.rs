//! What every command has at hand.

use camino::Utf8PathBuf;

use super::Environment;
use super::args::Global;
use crate::output::Printer;

/// The environment, the terminal, and which file is meant.
#[derive(Debug, Clone)]
pub struct Context {
    /// Owns standard output and standard error.
    pub printer: Printer,
    /// What the environment says.
    pub environment: Environment,
    /// `--config`.
    pub config: Option<Utf8PathBuf>,
}

// === impl Context ===

impl Context {
    pub(super) fn new(global: &Global, environment: Environment, printer: Printer) -> Self {
        Self {
            printer,
            environment,
            config: global.config.clone(),
        }
    }
}
