//! The text of a new stack.yaml.

use std::net::IpAddr;

use crate::edit::{NewHost, block};
use crate::{FleetName, SpecError, emit, parse};

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
    /// May be empty: hosts can be added later.
    pub hosts: Vec<NewHost>,
}

/// A file that says what was answered, and validates.
///
/// # Errors
///
/// Answers that no valid file can hold.
pub fn new_file(answers: &Answers) -> Result<String, Vec<SpecError>> {
    let text = write(answers);
    parse(&text, "stack.yaml").map(|_| text)
}

fn write(answers: &Answers) -> String {
    let mut lines = vec!["version: \"1\"".to_owned()];
    if let Some(fleet) = &answers.fleet {
        lines.push(format!(
            "fleet: {fleet} # written by foundry: ties this file to its state"
        ));
    }
    lines.push("cluster:".to_owned());
    lines.push(format!("  name: {}", emit::scalar(&answers.name)));
    if let Some(domain) = &answers.domain {
        lines.push(format!("  domain: {}", emit::scalar(domain)));
    }
    if let Some(vip) = answers.vip {
        lines.push(format!("  vip: {}", emit::scalar(&vip.to_string())));
    }
    if answers.hosts.is_empty() {
        lines.push("hosts: [] # foundry host add NAME ADDRESS".to_owned());
    } else {
        lines.push("hosts:".to_owned());
        lines.extend(answers.hosts.iter().flat_map(|host| block(host, "  ")));
    }
    lines.extend(EXAMPLE.lines().map(str::to_owned));
    let mut text = lines.join("\n");
    text.push('\n');
    text
}

/// What else a file can say, to be uncommented.
const EXAMPLE: &str = r#"# services:
#   - name: whoami
#     image: docker.io/traefik/whoami:v1.11
#     ports: ["8080:80"]
#     health: { http: "http://127.0.0.1:8080/" }
"#;
