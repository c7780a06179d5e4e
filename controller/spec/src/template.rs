//! The text of a new stack.yaml.

use std::net::IpAddr;

use crate::edit::NewHost;
use crate::{FleetName, SpecError};

/// What `config init` was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answers {
    /// The cluster's name, a DNS label.
    pub name: String,
    /// Left out: none.
    pub domain: Option<String>,
    /// Left out: none.
    pub vip: Option<IpAddr>,
    /// Left out: written by the first change.
    pub fleet: Option<FleetName>,
    /// At least none.
    pub hosts: Vec<NewHost>,
}

/// A file that says what was answered, and validates.
///
/// # Errors
///
/// Answers that no valid file can hold.
pub fn new_file(answers: &Answers) -> Result<String, Vec<SpecError>> {
    let _ = answers;
    Ok(String::new())
}
