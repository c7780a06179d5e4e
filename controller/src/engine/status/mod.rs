//! How the fleet does: what hosts say now, else what they said last, each with its age. Never green by default.

mod judge;

use std::collections::BTreeSet;
use std::time::Duration;

use foundry_plan::Selection;
use foundry_proto::operator::v1::{
    AssignmentStatus, HostState, HostStatus, StatusReport, StatusRequest,
};
use foundry_proto::{AssignmentName, HostId, Hostname};
use foundry_spec::Stack;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use tokio::sync::watch;
use tokio::time::Instant;

use super::Engine;
use super::clock::now_ms;
use super::error::EngineError;
use super::planning;
use super::view::HostView;
use judge::{Contact, overall};

/// How long silent hosts are waited for, unless somebody said otherwise.
const PATIENCE: Duration = Duration::from_secs(2);
/// Changes that come within this time make one report.
const COALESCE: Duration = Duration::from_millis(200);
/// What changes only because time goes by is looked for this often.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Which hosts a status is about, and what they should have by the file.
#[derive(Default)]
struct Scope {
    selection: Selection,
    /// The file's hosts with their addresses, in its order; `None`: no file was given.
    hosts: Option<Vec<(String, String)>>,
    wanted: BTreeSet<(String, AssignmentName)>,
}

impl Engine {
    /// How the fleet does; with `watch`, again at every change.
    pub async fn status(
        &self,
        request: StatusRequest,
    ) -> Result<BoxStream<'static, StatusReport>, EngineError> {
        let selection = planning::selection(request.selection.unwrap_or_default());
        let scope = if request.spec.is_empty() {
            Scope {
                selection,
                ..Scope::default()
            }
        } else {
            let stack = planning::parse(&request.spec)?;
            self.check_fleet(&stack)?;
            Scope::of(selection, &stack)
        };
        self.check_selection(&scope)?;
        let patience = match request.patience_ms {
            0 => PATIENCE,
            ms => Duration::from_millis(ms),
        };
        self.wait_for_silent(&scope, Instant::now() + patience)
            .await;
        let first = self.report(&scope);
        if !request.watch {
            return Ok(stream::once(std::future::ready(first)).boxed());
        }
        let news = self.inner.core.view.watch_all();
        let last = judge::without_ages(first.clone());
        let watching = Watching {
            engine: self.clone(),
            scope,
            news,
            last,
        };
        let later = stream::unfold(watching, next);
        Ok(stream::once(std::future::ready(first)).chain(later).boxed())
    }

    /// A selector that names nothing is an error.
    fn check_selection(&self, scope: &Scope) -> Result<(), EngineError> {
        for hostname in &scope.selection.hosts {
            let in_file = scope
                .hosts
                .iter()
                .flatten()
                .any(|(name, _)| name == hostname);
            if !in_file {
                self.host(hostname)?;
            }
        }
        Ok(())
    }

    /// Hosts that may be on their way back get a moment to come.
    async fn wait_for_silent(&self, scope: &Scope, until: Instant) {
        let mut silent = Vec::new();
        self.inner.core.view.for_each(|id, host| {
            if host.connected_ms.is_none() && scope.takes(&host.row.hostname) {
                silent.push(id);
            }
        });
        let waits = silent
            .into_iter()
            .map(|id| self.inner.listener.session_by(id, until));
        futures_util::future::join_all(waits).await;
    }

    fn report(&self, scope: &Scope) -> StatusReport {
        let core = &self.inner.core;
        let now_ms = now_ms();
        let mut hosts = Vec::new();
        let mut by_name = core.view.names();
        if let Some(listed) = &scope.hosts {
            for (name, address) in listed.iter().filter(|(name, _)| scope.takes(name)) {
                let known = by_name
                    .remove(name)
                    .and_then(|id| self.host_status(id, scope, now_ms));
                hosts.push(known.unwrap_or_else(|| not_enrolled(name, address, scope)));
            }
        }
        let mut strangers: Vec<_> = by_name
            .into_iter()
            .filter(|(name, _)| scope.takes(name))
            .collect();
        strangers.sort();
        for (_, id) in strangers {
            let status = self.host_status(id, scope, now_ms).map(|mut status| {
                if scope.hosts.is_some() && status.message.is_empty() {
                    "not in the file".clone_into(&mut status.message);
                }
                status
            });
            hosts.extend(status);
        }
        let overall = overall(&hosts);
        StatusReport {
            overall: overall.into(),
            hosts,
            components: Vec::new(),
        }
    }

    fn host_status(&self, id: HostId, scope: &Scope, now_ms: u64) -> Option<HostStatus> {
        let session = self
            .inner
            .listener
            .session(id)
            .map(|session| session.info());
        let contact = Contact {
            session: session.as_ref(),
            listens_for: self.inner.listener.listens_for(),
            now_ms,
        };
        self.inner.core.view.read(id, |host| {
            let mut assignments = judge::assignments(host, now_ms);
            scope.add_wanted(host, &mut assignments);
            assignments.retain(|assignment| {
                let name = assignment.name.parse::<AssignmentName>();
                name.is_ok_and(|name| scope.selection.takes_assignment(&name))
            });
            let (state, message) = judge::host(host, &contact, &assignments);
            if matches!(state, HostState::Stale | HostState::Unreachable) {
                judge::last_heard(&mut assignments);
            }
            HostStatus {
                name: host.row.hostname.clone(),
                address: host.row.address.clone(),
                state: state.into(),
                age_ms: contact.age_ms(host),
                agent_version: host.row.agent_version.clone(),
                assignments,
                message,
            }
        })
    }
}

/// A watcher of the status.
struct Watching {
    engine: Engine,
    scope: Scope,
    news: watch::Receiver<u64>,
    /// What was said last, without the ages.
    last: StatusReport,
}

/// The next report that says something else than the last.
async fn next(mut watching: Watching) -> Option<(StatusReport, Watching)> {
    let stop = watching.engine.inner.stop.clone();
    loop {
        tokio::select! {
            () = stop.cancelled() => return None,
            changed = watching.news.changed() => {
                changed.ok()?;
                tokio::time::sleep(COALESCE).await;
                watching.news.mark_unchanged();
            }
            () = tokio::time::sleep(LOOK_AGAIN) => {}
        }
        let report = watching.engine.report(&watching.scope);
        let ageless = judge::without_ages(report.clone());
        if watching.last != ageless {
            watching.last = ageless;
            return Some((report, watching));
        }
    }
}

fn not_enrolled(name: &str, address: &str, scope: &Scope) -> HostStatus {
    let wanted = scope.wanted.iter().filter(|(host, _)| host == name);
    HostStatus {
        name: name.to_owned(),
        address: address.to_owned(),
        state: HostState::NotEnrolled.into(),
        assignments: wanted.map(|(_, name)| judge::pending(name)).collect(),
        message: "not enrolled".to_owned(),
        ..HostStatus::default()
    }
}

// === impl Scope ===

impl Scope {
    fn of(selection: Selection, stack: &Stack) -> Self {
        let hosts = stack.hosts.iter();
        let hosts = hosts.map(|host| (host.hostname.to_string(), host.address.to_string()));
        let mut wanted = BTreeSet::new();
        for service in &stack.services {
            let Ok(name) = AssignmentName::service(service.name.as_str()) else {
                continue;
            };
            wanted.extend(
                service
                    .hosts
                    .iter()
                    .map(|host| (host.to_string(), name.clone())),
            );
        }
        Self {
            selection,
            hosts: Some(hosts.collect()),
            wanted,
        }
    }

    fn takes(&self, hostname: &str) -> bool {
        hostname
            .parse::<Hostname>()
            .is_ok_and(|hostname| self.selection.takes_host(&hostname))
    }

    /// What the file wants of this host and it has not yet.
    fn add_wanted(&self, host: &HostView, assignments: &mut Vec<AssignmentStatus>) {
        for (hostname, name) in &self.wanted {
            let listed = assignments
                .iter()
                .any(|assignment| assignment.name == name.as_str());
            if *hostname == host.row.hostname && !listed {
                assignments.push(judge::pending(name));
            }
        }
        assignments.sort_by(|a, b| a.name.cmp(&b.name));
    }
}
