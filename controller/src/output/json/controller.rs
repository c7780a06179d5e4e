//! The controller of a fleet.

use foundry_proto::operator::v1 as wire;
use serde::Serialize;

use super::plan::filled;

/// `controller status`.
#[derive(Debug, Clone, Serialize)]
pub struct ControllerDocument {
    /// Its fleet; none where the file has none yet.
    pub fleet: Option<String>,
    /// Somebody serves it now.
    pub running: bool,
    /// Its process.
    pub pid: Option<u32>,
    /// Its version.
    pub version: Option<String>,
    /// Where agents dial.
    pub listen: Option<String>,
    /// Why it does not listen.
    pub listen_error: Option<String>,
    /// Since it started.
    pub uptime_ms: Option<u64>,
    /// It ends after this long with nothing to do; none: never.
    pub idle_exit_ms: Option<u64>,
    /// Agents whose session is up.
    pub sessions: Option<u32>,
    /// Hosts of the fleet.
    pub hosts: Option<u32>,
}

// === impl ControllerDocument ===

impl ControllerDocument {
    /// Nobody serves this fleet.
    pub fn absent(fleet: Option<String>) -> Self {
        Self {
            fleet,
            running: false,
            pid: None,
            version: None,
            listen: None,
            listen_error: None,
            uptime_ms: None,
            idle_exit_ms: None,
            sessions: None,
            hosts: None,
        }
    }
}

impl From<&wire::Info> for ControllerDocument {
    fn from(info: &wire::Info) -> Self {
        Self {
            fleet: filled(&info.fleet),
            running: true,
            pid: Some(info.pid),
            version: filled(&info.version),
            listen: filled(&info.listen),
            listen_error: filled(&info.listen_error),
            uptime_ms: Some(info.uptime_ms),
            idle_exit_ms: (info.idle_exit_ms > 0).then_some(info.idle_exit_ms),
            sessions: Some(info.sessions),
            hosts: Some(info.hosts),
        }
    }
}

#[cfg(test)]
mod tests {
    use foundry_proto::operator::v1 as wire;

    use super::ControllerDocument;

    #[test]
    fn the_shape_is_fixed() {
        let info = wire::Info {
            fleet: "demo-1a2b3c".to_owned(),
            version: "0.1.0".to_owned(),
            pid: 4711,
            listen: "[::]:7443".to_owned(),
            uptime_ms: 1000,
            idle_exit_ms: 600_000,
            sessions: 2,
            hosts: 3,
            ..Default::default()
        };
        insta::assert_json_snapshot!(ControllerDocument::from(&info));
    }
}
