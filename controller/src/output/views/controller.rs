//! The controller of a fleet.

use super::super::json::controller::ControllerDocument;
use crate::output::{Document, Page, Tone, time};

impl Document for ControllerDocument {
    fn draw(&self, page: &mut Page) {
        let fleet = self.fleet.as_deref().unwrap_or("no fleet yet");
        let (state, tone) = if self.running {
            ("running", Tone::Good)
        } else {
            ("not running", Tone::Dim)
        };
        page.words(&[(fleet, Tone::Strong), (state, tone)]);
        let mut fact = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                page.words(&[(&format!("  {name}:"), Tone::Dim), (&value, Tone::Plain)]);
            }
        };
        fact("process", self.pid.map(|pid| pid.to_string()));
        fact("version", self.version.clone());
        fact("listens on", self.listen.clone());
        fact("does not listen", self.listen_error.clone());
        fact("up for", self.uptime_ms.map(time::age));
        fact("ends when idle for", self.idle_exit_ms.map(time::age));
        let hosts = self.sessions.zip(self.hosts);
        fact(
            "agents connected",
            hosts.map(|(sessions, hosts)| format!("{sessions} of {hosts}")),
        );
    }
}
