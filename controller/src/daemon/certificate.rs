//! The controller's own certificate, replaced at half its life through a watch channel.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use foundry_link::pki::CONTROLLER_LIFETIME;
use foundry_link::tls::Credentials;
use foundry_proto::FleetId;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::DaemonError;
use crate::state::{Authorities, Paths};

/// How often its age is looked at: a machine that slept counts the hours by the calendar.
const LOOK: Duration = Duration::from_secs(3600);

/// Replaces the certificate when it is due.
pub(super) struct Renewal {
    authorities: Authorities,
    fleet: FleetId,
    issued: SystemTime,
    sender: watch::Sender<Arc<Credentials>>,
}

/// A first certificate, and the task that replaces it.
pub(super) fn issue(
    paths: &Paths,
    fleet: FleetId,
) -> Result<(watch::Receiver<Arc<Credentials>>, Renewal), DaemonError> {
    let authorities = Authorities::load(paths)?;
    let issued = SystemTime::now();
    let (sender, receiver) = watch::channel(Arc::new(make(&authorities, &fleet, issued)?));
    Ok((
        receiver,
        Renewal {
            authorities,
            fleet,
            issued,
            sender,
        },
    ))
}

// === impl Renewal ===

impl Renewal {
    /// Runs until `stop`.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            self.look(SystemTime::now());
        }
    }

    fn look(&mut self, now: SystemTime) {
        // A clock that was set back makes an age unknown: then a new one is due too.
        let age = now
            .duration_since(self.issued)
            .unwrap_or(CONTROLLER_LIFETIME);
        if age < CONTROLLER_LIFETIME / 2 {
            return;
        }
        match make(&self.authorities, &self.fleet, now) {
            Ok(credentials) => {
                self.issued = now;
                self.sender.send_replace(Arc::new(credentials));
                tracing::info!("the controller has a new certificate");
            }
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "no new certificate"
                );
            }
        }
    }
}

fn make(
    authorities: &Authorities,
    fleet: &FleetId,
    now: SystemTime,
) -> Result<Credentials, DaemonError> {
    let authority = authorities.fleet();
    let leaf = authority
        .issue_controller(fleet, now)
        .map_err(DaemonError::Certificate)?;
    let trusted = vec![authority.certificate_der().clone()];
    Credentials::new(leaf.chain, leaf.key, trusted, fleet, now).map_err(DaemonError::Credentials)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use camino::Utf8Path;
    use foundry_link::pki::CONTROLLER_LIFETIME;

    use super::issue;
    use crate::state::{Paths, create_fleet};

    #[test]
    fn a_new_one_is_made_at_half_its_life_and_not_before() {
        let home = tempfile::tempdir().unwrap();
        let home = Utf8Path::from_path(home.path()).unwrap();
        let fleet = create_fleet(home, "test").unwrap();
        let (receiver, mut renewal) = issue(&Paths::new(home, &fleet), fleet).unwrap();
        let first = receiver.borrow().peer().key;
        let now = SystemTime::now();
        renewal.look(now + CONTROLLER_LIFETIME / 2 - Duration::from_secs(60));
        assert_eq!(receiver.borrow().peer().key, first);
        renewal.look(now + CONTROLLER_LIFETIME / 2 + Duration::from_secs(60));
        assert_ne!(receiver.borrow().peer().key, first);
    }
}
