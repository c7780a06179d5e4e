use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use foundry_host::exec::{Captured, Exec, ExecError, Output};
use foundry_host::files::HostFiles;
use foundry_host::systemd::Exit;
use foundry_host::{Host, exec};
use foundry_proto::agent::v1::{
    Action, ArtifactRef, Assign, Assignment, Command, CommandProbe, Directory, Event, File,
    Holding, JobOutcome, Observe, ObserveItem, Outcome, Phase, RetryPolicy, StartJob, Task,
    Uninstall, command::Guard, event::Body, file, job_outcome, start_job, task::Kind,
};
use foundry_proto::{Digest, FleetId};
use prost::Message as _;
use tokio::sync::{Notify, mpsc};

use super::{Build, Executor, Parts};
use crate::config::Places;
use crate::jobs::Jobs;
use crate::ledger::{Keeper, Ledger, Times};
use crate::session::{Agent as _, Outgoing};
use crate::tasks::{ArtifactError, Artifacts};

const LIMIT: Duration = Duration::from_secs(20);

/// Programs of tests: `/do/<x>` does x as planned, `/done/<x>` says whether x was done.
#[derive(Default)]
struct Programs {
    plans: Mutex<BTreeMap<String, VecDeque<Plan>>>,
    done: Mutex<BTreeSet<String>>,
    calls: Mutex<Vec<String>>,
    called: Notify,
}

enum Plan {
    Fail,
    /// Until the test says so, or the call is dropped.
    Wait(Arc<Notify>),
}

#[async_trait]
impl Exec for Programs {
    async fn run(&self, command: exec::Command) -> Result<Output, ExecError> {
        let program = command.program().to_owned();
        let ended = |code| {
            let (stdout, stderr) = (Captured::default(), Captured::default());
            Ok(Output {
                exit: Exit::Code(code),
                stdout,
                stderr,
            })
        };
        if let Some(x) = program.strip_prefix("/done/") {
            return ended(i32::from(!self.done.lock().unwrap().contains(x)));
        }
        let x = program.strip_prefix("/do/").unwrap();
        self.calls.lock().unwrap().push(x.to_owned());
        self.called.notify_waiters();
        let plan = self
            .plans
            .lock()
            .unwrap()
            .get_mut(x)
            .and_then(VecDeque::pop_front);
        match plan {
            Some(Plan::Fail) => return ended(1),
            Some(Plan::Wait(go)) => go.notified().await,
            None => {}
        }
        self.done.lock().unwrap().insert(x.to_owned());
        ended(0)
    }

    async fn find(&self, _program: &str) -> Option<Utf8PathBuf> {
        None
    }
}

impl Programs {
    fn plan(&self, x: &str, plan: Plan) {
        self.plans
            .lock()
            .unwrap()
            .entry(x.to_owned())
            .or_default()
            .push_back(plan);
    }

    fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    async fn until_called(&self, x: &str) {
        let called = async {
            loop {
                let next = self.called.notified();
                if self.calls().iter().any(|call| call == x) {
                    return;
                }
                next.await;
            }
        };
        tokio::time::timeout(LIMIT, called).await.unwrap();
    }
}

struct NoArtifacts;

#[async_trait]
impl Artifacts for NoArtifacts {
    async fn fetch(&self, artifact: &ArtifactRef) -> Result<Utf8PathBuf, ArtifactError> {
        Err(ArtifactError::new(artifact, "there are none here"))
    }
}

/// A host with its disk, on which agents are started one after the other.
struct Bed {
    _owner: tempfile::TempDir,
    root: Utf8PathBuf,
    programs: Arc<Programs>,
}

/// An agent without a session.
struct Running {
    executor: Executor,
    jobs: Arc<Jobs>,
    keeper: Keeper,
    times: Times,
    events: mpsc::Receiver<Outgoing>,
}

impl Bed {
    fn new() -> Self {
        let owner = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(owner.path().to_owned()).unwrap();
        fs_err::create_dir_all(root.join("disk")).unwrap();
        Self {
            _owner: owner,
            root,
            programs: Arc::default(),
        }
    }

    fn disk(&self, path: &str) -> Utf8PathBuf {
        self.root.join("disk").join(path.trim_start_matches('/'))
    }

    fn places(&self) -> Places {
        Places::below(&self.root)
    }

    async fn start(&self) -> Running {
        let host = Arc::new(Host {
            exec: self.programs.clone(),
            files: Arc::new(HostFiles::beneath(self.root.join("disk"))),
            ..Host::this()
        });
        let times = Times::new(Arc::clone(&host.clock), "boot");
        let ledger = Ledger::open(&self.places().ledger(), "ledger", &times.now()).unwrap();
        let keeper = Keeper::start(ledger).unwrap();
        let jobs = Arc::new(Jobs::new(Arc::clone(&host), self.places(), None));
        let (outgoing, events) = mpsc::channel(1024);
        let executor = Executor::start(Parts {
            fleet: FleetId::generate("test"),
            host,
            artifacts: Arc::new(NoArtifacts),
            keeper: keeper.clone(),
            times: times.clone(),
            build: Build {
                version: "0".to_owned(),
                digest: Digest::of(b""),
                start_id: 1,
            },
            facts: Default::default(),
            jobs: Arc::clone(&jobs),
            renewal: None,
            outgoing,
        })
        .await
        .unwrap();
        Running {
            executor,
            jobs,
            keeper,
            times,
            events,
        }
    }
}

impl Running {
    async fn event(&mut self) -> Event {
        loop {
            let next = tokio::time::timeout(LIMIT, self.events.recv())
                .await
                .unwrap()
                .unwrap();
            if let Outgoing::Event(event) = next {
                return event;
            }
        }
    }

    /// The next outcome, of any revision.
    async fn outcome(&mut self) -> (u64, Outcome) {
        loop {
            let event = self.event().await;
            if let Some(Body::Outcome(outcome)) = event.body {
                return (event.revision, outcome);
            }
        }
    }

    async fn reason(&mut self) -> String {
        loop {
            if let Some(Body::Rejected(rejected)) = self.event().await.body {
                return rejected.reason;
            }
        }
    }

    async fn job_outcome(&mut self) -> (u64, JobOutcome) {
        loop {
            let event = self.event().await;
            if let Some(Body::Job(outcome)) = event.body {
                return (event.number, outcome);
            }
        }
    }

    fn holding(&self, name: &str) -> Option<Holding> {
        self.executor
            .hello()
            .holdings
            .into_iter()
            .find(|held| held.assignment == name)
    }

    async fn stop(self) {
        assert!(self.executor.stop(LIMIT).await);
        self.keeper.close(self.times.now()).await.unwrap().unwrap();
    }

    /// As `kill -9` would: nothing is told, nothing is written any more.
    async fn kill(self) {
        let _ = self.keeper.close(self.times.now()).await;
        self.executor.stop(LIMIT).await;
    }
}

fn doing(x: &str) -> Task {
    let probe = CommandProbe {
        argv: vec![format!("/done/{x}")],
    };
    let command = Command {
        argv: vec![format!("/do/{x}")],
        guard: Some(Guard::Unless(probe)),
        ..Command::default()
    };
    task(x, Kind::Command(command))
}

fn holds(path: &str, content: &str) -> Task {
    let file = File {
        path: path.to_owned(),
        mode: 0o600,
        content: Some(file::Content::Inline(content.as_bytes().to_vec().into())),
        ..File::default()
    };
    task(&format!("file:{path}"), Kind::File(file))
}

fn data(path: &str) -> Task {
    let directory = Directory {
        path: path.to_owned(),
        data: true,
        ..Directory::default()
    };
    task(&format!("dir:{path}"), Kind::Directory(directory))
}

fn task(id: &str, kind: Kind) -> Task {
    Task {
        id: id.to_owned(),
        feature_level: 1,
        kind: Some(kind),
        ..Task::default()
    }
}

fn assign(name: &str, revision: u64, tasks: Vec<Task>) -> Assign {
    encode(
        revision,
        Assignment {
            name: name.to_owned(),
            tasks,
            ..Assignment::default()
        },
    )
}

fn removal(name: &str, revision: u64) -> Assign {
    encode(
        revision,
        Assignment {
            name: name.to_owned(),
            removed: true,
            ..Assignment::default()
        },
    )
}

fn encode(revision: u64, assignment: Assignment) -> Assign {
    let content = bytes::Bytes::from(assignment.encode_to_vec());
    let digest = Digest::of(&content).to_bytes();
    Assign {
        name: assignment.name,
        revision,
        digest,
        content,
        ..Assign::default()
    }
}

#[tokio::test]
async fn an_assignment_is_accepted_carried_out_and_has_its_outcome() {
    let bed = Bed::new();
    let mut agent = bed.start().await;
    agent
        .executor
        .assign(assign("zot", 1, vec![doing("a"), holds("/etc/b", "text")]))
        .await;
    let mut seen = Vec::new();
    loop {
        let event = agent.event().await;
        match event.body {
            Some(Body::Accepted(_)) => seen.push("accepted".to_owned()),
            Some(Body::Task(result)) => {
                assert_eq!((result.changed, result.error.as_str()), (true, ""));
                seen.push(result.task);
            }
            Some(Body::Outcome(outcome)) => {
                assert_eq!(outcome.phase(), Phase::Achieved);
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(seen, ["accepted", "a", "file:/etc/b"]);
    assert_eq!(fs_err::read_to_string(bed.disk("/etc/b")).unwrap(), "text");
    let held = agent.holding("zot").unwrap();
    assert_eq!(
        (held.phase(), held.achieved_revision),
        (Phase::Achieved, Some(1))
    );
    agent.stop().await;
}

#[tokio::test]
async fn a_newer_revision_ends_the_work_on_the_older_and_each_has_one_outcome() {
    let bed = Bed::new();
    let mut agent = bed.start().await;
    bed.programs.plan("a", Plan::Wait(Arc::default()));
    agent
        .executor
        .assign(assign("zot", 1, vec![doing("a"), doing("never")]))
        .await;
    bed.programs.until_called("a").await;
    agent
        .executor
        .assign(assign("zot", 2, vec![doing("b")]))
        .await;
    let (revision, outcome) = agent.outcome().await;
    assert_eq!((revision, outcome.phase()), (1, Phase::Superseded));
    let (revision, outcome) = agent.outcome().await;
    assert_eq!((revision, outcome.phase()), (2, Phase::Achieved));
    assert_eq!(bed.programs.calls(), ["a", "b"]);
    agent.stop().await;
}

#[tokio::test]
async fn a_failure_is_retried_by_the_policy_and_then_is_the_outcome() {
    let bed = Bed::new();
    let mut agent = bed.start().await;
    let retry = RetryPolicy {
        attempts: 3,
        initial_delay_ms: 1,
        max_delay_ms: 2,
    };
    for _ in 0..2 {
        bed.programs.plan("a", Plan::Fail);
    }
    for _ in 0..5 {
        bed.programs.plan("b", Plan::Fail);
    }
    let assign = |x| Assign {
        retry: Some(retry),
        ..assign(&format!("service/{x}"), 1, vec![doing(x)])
    };
    agent.executor.assign(assign("a")).await;
    assert_eq!(agent.outcome().await.1.phase(), Phase::Achieved);
    agent.executor.assign(assign("b")).await;
    let (_, outcome) = agent.outcome().await;
    assert_eq!(outcome.phase(), Phase::Failed);
    assert!(
        outcome.message.starts_with("b: /do/b"),
        "{}",
        outcome.message
    );
    assert_eq!(bed.programs.calls(), ["a", "a", "a", "b", "b", "b"]);
    let held = agent.holding("service/b").unwrap();
    assert_eq!(
        (held.phase(), held.message),
        (Phase::Failed, outcome.message)
    );
    agent.stop().await;
}

#[tokio::test]
async fn what_was_accepted_is_taken_up_again_after_a_crash_and_ends_once() {
    let bed = Bed::new();
    let mut agent = bed.start().await;
    bed.programs.plan("b", Plan::Wait(Arc::default()));
    agent
        .executor
        .assign(assign("zot", 1, vec![doing("a"), doing("b")]))
        .await;
    bed.programs.until_called("b").await;
    agent.kill().await;

    agent = bed.start().await;
    let (revision, outcome) = agent.outcome().await;
    assert_eq!((revision, outcome.phase()), (1, Phase::Achieved));
    assert_eq!(
        bed.programs.calls(),
        ["a", "b", "b"],
        "a was done and is not done again"
    );
    agent.kill().await;

    // The outcome was not acknowledged: it comes again under its number, and is not another one.
    let agent = bed.start().await;
    let mut outcomes = Vec::new();
    for event in agent.executor.unacknowledged(0, 100).await {
        if let Some(Body::Outcome(_)) = event.body {
            outcomes.push(event.number);
        }
    }
    assert_eq!(outcomes.len(), 1);
    agent.executor.acknowledged(outcomes[0]).await;
    assert!(agent.executor.unacknowledged(0, 100).await.is_empty());
    agent.stop().await;
}

#[tokio::test]
async fn stopping_the_agent_leaves_the_work_open() {
    let bed = Bed::new();
    let agent = bed.start().await;
    bed.programs.plan("a", Plan::Wait(Arc::default()));
    agent
        .executor
        .assign(assign("zot", 1, vec![doing("a")]))
        .await;
    bed.programs.until_called("a").await;
    agent.stop().await;
    let mut agent = bed.start().await;
    assert_eq!(agent.outcome().await.1.phase(), Phase::Achieved);
    agent.stop().await;
}

#[tokio::test]
async fn removal_undoes_what_any_revision_left_and_lists_what_it_keeps() {
    let bed = Bed::new();
    let mut agent = bed.start().await;
    let first = vec![
        data("/srv/data"),
        holds("/etc/a", "1"),
        holds("/etc/old", "1"),
    ];
    agent.executor.assign(assign("zot", 1, first)).await;
    agent.outcome().await;
    assert!(bed.disk("/etc/old").exists());
    // What a later revision no longer has goes; what a failed one began is remembered.
    bed.programs.plan("x", Plan::Fail);
    let second = vec![data("/srv/data"), holds("/etc/a", "2")];
    agent
        .executor
        .assign(assign("zot", 2, second.clone()))
        .await;
    assert_eq!(agent.outcome().await.1.phase(), Phase::Achieved);
    assert!(!bed.disk("/etc/old").exists());
    let third = [second, vec![holds("/etc/new", "3"), doing("x")]].concat();
    agent.executor.assign(assign("zot", 3, third)).await;
    assert_eq!(agent.outcome().await.1.phase(), Phase::Failed);
    assert!(bed.disk("/etc/new").exists());

    let observed = agent.executor.observe(Observe {
        id: 1,
        items: vec![ObserveItem {
            name: "zot".to_owned(),
            content: removal("zot", 4).content,
        }],
        facts: false,
    });
    let diffs = &observed.await.assignments[0].diffs;
    assert!(diffs.iter().all(|diff| diff.action() == Action::Remove));
    assert!(diffs.iter().any(|diff| diff.task == "file:/etc/new"));

    agent.executor.assign(removal("zot", 4)).await;
    let (revision, outcome) = agent.outcome().await;
    assert_eq!((revision, outcome.phase()), (4, Phase::Removed));
    assert_eq!(outcome.kept, ["/srv/data"]);
    assert!(!bed.disk("/etc/new").exists() && !bed.disk("/etc/a").exists());
    assert!(bed.disk("/srv/data").exists());
    let held = agent.holding("zot").unwrap();
    assert_eq!((held.phase(), held.revision), (Phase::Removed, 4));

    agent
        .executor
        .assign(assign("zot", 4, vec![doing("y")]))
        .await;
    assert_eq!(
        agent.reason().await,
        "revision 4 is held already, with other content"
    );
    agent
        .executor
        .assign(assign("zot", 5, vec![doing("y")]))
        .await;
    assert_eq!(agent.outcome().await.1.phase(), Phase::Achieved);
    agent.stop().await;
}

#[tokio::test]
async fn what_cannot_be_accepted_is_rejected_with_its_reason() {
    let bed = Bed::new();
    let mut agent = bed.start().await;
    let mut broken = assign("zot", 1, vec![doing("a")]);
    broken.digest = Digest::of(b"other").to_bytes();
    agent.executor.assign(broken).await;
    assert_eq!(
        agent.reason().await,
        "its bytes are not those that its digest covers"
    );
    let unknown = Task {
        kind: None,
        ..doing("a")
    };
    agent.executor.assign(assign("zot", 1, vec![unknown])).await;
    assert!(agent.reason().await.contains("not supported by this agent"));
    agent
        .executor
        .refuse(assign("zot", 1, Vec::new()), "too old".to_owned())
        .await;
    assert_eq!(agent.reason().await, "too old");
    assert_eq!(agent.holding("zot"), None);
    agent.stop().await;
}

#[tokio::test]
async fn a_cancelled_revision_ends_as_cancelled() {
    let bed = Bed::new();
    let mut agent = bed.start().await;
    bed.programs.plan("a", Plan::Wait(Arc::default()));
    agent
        .executor
        .assign(assign("zot", 1, vec![doing("a"), doing("b")]))
        .await;
    bed.programs.until_called("a").await;
    agent.executor.cancel("zot", 2).await;
    agent.executor.cancel("zot", 1).await;
    let (revision, outcome) = agent.outcome().await;
    assert_eq!((revision, outcome.phase()), (1, Phase::Cancelled));
    agent
        .executor
        .assign(assign("zot", 2, vec![doing("b")]))
        .await;
    assert_eq!(agent.outcome().await.0, 2);
    assert_eq!(bed.programs.calls(), ["a", "b"]);
    agent.stop().await;
}

#[tokio::test]
async fn observing_says_what_would_change_and_changes_nothing() {
    let bed = Bed::new();
    let agent = bed.start().await;
    let tasks = vec![doing("a"), holds("/etc/b", "text")];
    let items = vec![
        ObserveItem {
            name: "zot".to_owned(),
            content: assign("zot", 1, tasks).content,
        },
        ObserveItem {
            name: "bad".to_owned(),
            content: bytes::Bytes::from_static(b"\xff"),
        },
    ];
    let reply = agent
        .executor
        .observe(Observe {
            id: 7,
            items,
            facts: false,
        })
        .await;
    let [zot, bad] = &reply.assignments[..] else {
        panic!("{reply:?}")
    };
    assert_eq!(reply.id, 7);
    assert!(
        zot.diffs.iter().all(|diff| diff.action() == Action::Create),
        "{zot:?}"
    );
    assert_eq!(zot.diffs.len(), 2);
    assert!(bad.error.contains("cannot be read"));
    assert!(bed.programs.calls().is_empty() && !bed.disk("/etc/b").exists());
    agent.stop().await;
}

#[tokio::test]
async fn one_busy_assignment_delays_no_other() {
    let bed = Bed::new();
    let mut agent = bed.start().await;
    let go = Arc::new(Notify::new());
    bed.programs.plan("slow", Plan::Wait(go.clone()));
    agent
        .executor
        .assign(assign("slow", 1, vec![doing("slow")]))
        .await;
    bed.programs.until_called("slow").await;
    agent
        .executor
        .assign(assign("quick", 1, vec![doing("quick")]))
        .await;
    assert_eq!(agent.outcome().await.1.phase(), Phase::Achieved);
    let busy = agent.executor.subsystems();
    assert!(
        busy.iter()
            .any(|part| part.name == "executor" && part.busy_ms > 0),
        "{busy:?}"
    );
    assert_eq!(agent.holding("slow").unwrap().phase(), Phase::Applying);
    go.notify_one();
    assert_eq!(agent.outcome().await.1.phase(), Phase::Achieved);
    agent.stop().await;
}

#[tokio::test]
async fn leaving_undoes_everything_reports_and_then_takes_the_agent_away() {
    let bed = Bed::new();
    let mut agent = bed.start().await;
    fs_err::create_dir_all(bed.places().opt.join("agents")).unwrap();
    agent
        .executor
        .assign(assign(
            "zot",
            1,
            vec![data("/srv/data"), holds("/etc/a", "1")],
        ))
        .await;
    agent.outcome().await;
    let uninstall = start_job::Kind::Uninstall(Uninstall { purge: false });
    let job = StartJob {
        id: "j1".to_owned(),
        kind: Some(uninstall),
        ..StartJob::default()
    };
    agent.executor.start_job(job.clone()).await;
    agent.executor.start_job(job).await;
    let (number, outcome) = agent.job_outcome().await;
    assert_eq!(outcome.result(), job_outcome::Result::Done);
    assert_eq!(outcome.kept, ["/srv/data"]);
    assert!(!bed.disk("/etc/a").exists() && bed.disk("/srv/data").exists());
    agent.executor.assign(assign("zot", 2, Vec::new())).await;
    assert_eq!(
        agent.reason().await,
        "the agent is being taken off this host"
    );
    assert!(bed.places().opt.exists(), "not before the controller knows");

    agent.executor.acknowledged(number).await;
    tokio::time::timeout(LIMIT, agent.jobs.finished().cancelled())
        .await
        .unwrap();
    assert!(!bed.places().opt.exists() && !bed.places().state.exists());
}

#[tokio::test]
async fn jobs_of_other_kinds_are_answered() {
    let bed = Bed::new();
    let mut agent = bed.start().await;
    let kind = Some(start_job::Kind::Reboot(Default::default()));
    let job = StartJob {
        id: "j1".to_owned(),
        kind,
        ..StartJob::default()
    };
    agent.executor.start_job(job).await;
    let (_, outcome) = agent.job_outcome().await;
    assert_eq!(outcome.result(), job_outcome::Result::Failed);
    assert_eq!(outcome.message, "not supported by this agent");
    agent.stop().await;
}

#[tokio::test]
async fn wherever_the_agent_is_killed_each_revision_ends_once() {
    for cut in 0..40 {
        let bed = Bed::new();
        let agent = bed.start().await;
        let first = assign("zot", 1, vec![doing("a"), doing("b")]);
        let second = assign("zot", 2, vec![doing("b"), doing("c")]);
        tokio::select! {
            biased;
            () = async {
                for _ in 0..cut * cut * 10 {
                    tokio::task::yield_now().await;
                }
            } => {}
            () = async {
                agent.executor.assign(first.clone()).await;
                agent.executor.assign(second.clone()).await;
                std::future::pending::<()>().await;
            } => {}
        }
        agent.kill().await;

        // The controller sends again what the agent does not hold.
        let mut agent = bed.start().await;
        agent.executor.assign(first).await;
        agent.executor.assign(second).await;
        while agent.outcome().await.0 != 2 {}
        let mut outcomes: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        let mut accepted = BTreeSet::new();
        for event in agent.executor.unacknowledged(0, 1000).await {
            match event.body {
                Some(Body::Outcome(_)) => {
                    outcomes
                        .entry(event.revision)
                        .or_default()
                        .push(event.number);
                }
                Some(Body::Accepted(_)) => assert!(accepted.insert(event.revision), "cut {cut}"),
                Some(_) | None => {}
            }
        }
        let ended: BTreeSet<u64> = outcomes.keys().copied().collect();
        assert_eq!(ended, accepted, "cut {cut}");
        assert!(
            outcomes.values().all(|numbers| numbers.len() == 1),
            "cut {cut}: {outcomes:?}"
        );
        agent.stop().await;
    }
}
