use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use camino::Utf8Path;
use foundry_proto::layout::UNIT_DIR;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use tokio::sync::watch;

use super::{FakeClock, FakeContainers, FakeFiles, lock};
use crate::clock::Clock;
use crate::systemd::{
    ActiveState, Exit, JobResult, LoadState, Systemd, SystemdError, UnitState, UnitVerb,
};

/// What happens when a unit is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Behaviour {
    /// It runs, and goes on.
    #[default]
    Runs,
    /// Its job fails: the process could not be executed.
    CannotStart,
    /// The job is done; then it ends with this code, and is restarted by systemd once.
    CrashesOnce {
        /// The exit code.
        code: i32,
    },
    /// The job is done; then it ends with this code and stays failed.
    Crashes {
        /// The exit code.
        code: i32,
    },
}

/// Units in memory. A unit is there when its file is under the folder of units.
pub struct FakeSystemd {
    files: Arc<FakeFiles>,
    containers: Arc<FakeContainers>,
    clock: Arc<FakeClock>,
    units: Mutex<BTreeMap<String, watch::Sender<UnitState>>>,
    packaged: Mutex<BTreeSet<String>>,
    behaviours: Mutex<BTreeMap<String, Behaviour>>,
    journals: Mutex<BTreeMap<String, Vec<String>>>,
    /// Names of the containers that units run.
    running: Mutex<BTreeMap<String, String>>,
    calls: Mutex<Vec<String>>,
}

// === impl FakeSystemd ===

impl FakeSystemd {
    pub(super) fn new(
        files: Arc<FakeFiles>,
        containers: Arc<FakeContainers>,
        clock: Arc<FakeClock>,
    ) -> Self {
        Self {
            files,
            containers,
            clock,
            units: Mutex::default(),
            packaged: Mutex::default(),
            behaviours: Mutex::default(),
            journals: Mutex::default(),
            running: Mutex::default(),
            calls: Mutex::default(),
        }
    }

    /// A unit that comes from a package.
    pub fn install(&self, unit: &str) {
        lock(&self.packaged).insert(unit.to_owned());
        self.change(unit, |state| state.load = LoadState::Loaded);
    }

    /// What happens when the unit is started.
    pub fn behave(&self, unit: &str, behaviour: Behaviour) {
        lock(&self.behaviours).insert(unit.to_owned(), behaviour);
    }

    /// The unit writes this to its journal.
    pub fn write_journal(&self, unit: &str, line: &str) {
        lock(&self.journals)
            .entry(unit.to_owned())
            .or_default()
            .push(line.to_owned());
    }

    /// Changes a unit's state from outside, as a crash or a hand does; watchers are told.
    pub fn change(&self, unit: &str, change: impl FnOnce(&mut UnitState)) {
        self.unit(unit).send_modify(change);
    }

    /// What was done, in order: `start a.service`, `enable a.service`, `reload`.
    pub fn calls(&self) -> Vec<String> {
        lock(&self.calls).clone()
    }

    fn unit(&self, unit: &str) -> watch::Sender<UnitState> {
        lock(&self.units)
            .entry(unit.to_owned())
            .or_default()
            .clone()
    }

    fn called(&self, call: String) {
        lock(&self.calls).push(call);
    }

    fn text(&self, unit: &str) -> Option<String> {
        self.files.text(Utf8Path::new(UNIT_DIR).join(unit))
    }

    /// The unit's state, with whether there is a file now where systemd has no unit of it yet.
    fn look(&self, unit: &str) -> UnitState {
        let mut state = self.unit(unit).borrow().clone();
        let has_file = self.text(unit).is_some() || lock(&self.packaged).contains(unit);
        if has_file && state.load == LoadState::NotFound {
            state.load = LoadState::Loaded;
            "disabled".clone_into(&mut state.file_state);
        }
        state
    }

    fn start(&self, unit: &str) -> JobResult {
        let behaviour = lock(&self.behaviours)
            .get(unit)
            .copied()
            .unwrap_or_default();
        let now = self.clock.monotonic();
        if behaviour == Behaviour::CannotStart {
            self.change(unit, |state| fail(state, 203));
            return JobResult::Other("failed".to_owned());
        }
        let ran = self
            .text(unit)
            .as_deref()
            .and_then(container_arguments)
            .map(|arguments| self.containers.run(&arguments));
        match ran {
            Some(Ok(name)) => {
                lock(&self.running).insert(unit.to_owned(), name);
            }
            Some(Err(said)) => {
                self.write_journal(unit, &said);
                self.change(unit, |state| fail(state, 125));
                return JobResult::Done;
            }
            None => {}
        }
        self.change(unit, |state| {
            state.load = LoadState::Loaded;
            state.active = ActiveState::Active;
            "running".clone_into(&mut state.sub);
            "success".clone_into(&mut state.result);
            state.restarts = 0;
            state.started = now;
            state.exit = None;
        });
        match behaviour {
            Behaviour::Runs | Behaviour::CannotStart => {}
            Behaviour::CrashesOnce { code } => self.change(unit, |state| {
                state.restarts = 1;
                state.exit = Some(Exit::Code(code));
            }),
            Behaviour::Crashes { code } => {
                self.end_container(unit);
                self.change(unit, |state| fail(state, code));
            }
        }
        JobResult::Done
    }

    fn stop(&self, unit: &str) {
        self.end_container(unit);
        self.change(unit, |state| {
            state.active = ActiveState::Inactive;
            "dead".clone_into(&mut state.sub);
        });
    }

    fn end_container(&self, unit: &str) {
        let running = lock(&self.running).remove(unit);
        if let Some(name) = running {
            self.containers.ended(&name);
        }
    }
}

fn fail(state: &mut UnitState, code: i32) {
    state.load = LoadState::Loaded;
    state.active = ActiveState::Failed;
    "failed".clone_into(&mut state.sub);
    "exit-code".clone_into(&mut state.result);
    state.exit = Some(Exit::Code(code));
}

/// The arguments of the container that the unit runs, if it runs one.
fn container_arguments(text: &str) -> Option<Vec<String>> {
    let (_, start) = text.split_once("\nExecStart=")?;
    let joined = start.replace("\\\n", " ");
    let line = joined.lines().next()?;
    let mut words = line
        .split_ascii_whitespace()
        .map(|word| word.trim_matches('"').to_owned());
    let program = words.next()?;
    let is_runtime = program.ends_with("/docker") || program.ends_with("/podman");
    (is_runtime && words.next()? == "run").then(|| words.collect())
}

#[async_trait]
impl Systemd for FakeSystemd {
    async fn version(&self) -> Result<u32, SystemdError> {
        Ok(252)
    }

    async fn state(&self, unit: &str) -> Result<UnitState, SystemdError> {
        Ok(self.look(unit))
    }

    async fn reload(&self) -> Result<(), SystemdError> {
        self.called("reload".to_owned());
        let units: Vec<String> = lock(&self.units).keys().cloned().collect();
        for unit in units {
            let has_file = self.text(&unit).is_some() || lock(&self.packaged).contains(&unit);
            let is_active = self.look(&unit).is_active();
            self.change(&unit, |state| {
                state.needs_reload = false;
                state.load = match has_file || is_active {
                    true => LoadState::Loaded,
                    false => LoadState::NotFound,
                };
                if !has_file {
                    state.file_state.clear();
                }
            });
        }
        Ok(())
    }

    async fn enable(&self, unit: &str) -> Result<(), SystemdError> {
        self.called(format!("enable {unit}"));
        if self.look(unit).load == LoadState::NotFound {
            let source = zbus::Error::Failure(format!("Unit file {unit} does not exist."));
            return Err(SystemdError::call("enable", unit, source));
        }
        self.change(unit, |state| {
            state.load = LoadState::Loaded;
            "enabled".clone_into(&mut state.file_state);
        });
        Ok(())
    }

    async fn disable(&self, unit: &str) -> Result<(), SystemdError> {
        self.called(format!("disable {unit}"));
        self.change(unit, |state| "disabled".clone_into(&mut state.file_state));
        Ok(())
    }

    async fn run(
        &self,
        verb: UnitVerb,
        unit: &str,
        _: Duration,
    ) -> Result<JobResult, SystemdError> {
        self.called(format!("{verb} {unit}"));
        if verb != UnitVerb::Stop && self.look(unit).load == LoadState::NotFound {
            let source = zbus::Error::Failure(format!("Unit {unit} not found."));
            return Err(SystemdError::call(verb.as_str(), unit, source));
        }
        Ok(match verb {
            UnitVerb::Start if self.look(unit).is_active() => JobResult::Done,
            UnitVerb::Start => self.start(unit),
            UnitVerb::Restart => {
                self.stop(unit);
                self.start(unit)
            }
            UnitVerb::Stop => {
                self.stop(unit);
                JobResult::Done
            }
        })
    }

    async fn reset_failed(&self, unit: &str) -> Result<(), SystemdError> {
        if self.look(unit).active == ActiveState::Failed {
            self.change(unit, |state| state.active = ActiveState::Inactive);
        }
        Ok(())
    }

    async fn watch(&self, unit: &str) -> Result<BoxStream<'static, UnitState>, SystemdError> {
        let receiver = self.unit(unit).subscribe();
        let changes = stream::unfold(receiver, |mut receiver| async {
            receiver.changed().await.ok()?;
            let state = receiver.borrow_and_update().clone();
            Some((state, receiver))
        });
        Ok(changes.boxed())
    }

    async fn journal(&self, unit: &str, lines: u32) -> Result<Vec<String>, SystemdError> {
        let journals = lock(&self.journals);
        let all = journals.get(unit).map(Vec::as_slice).unwrap_or_default();
        let skipped = all
            .len()
            .saturating_sub(usize::try_from(lines).unwrap_or(usize::MAX));
        Ok(all.iter().skip(skipped).cloned().collect())
    }
}
