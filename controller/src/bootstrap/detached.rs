//! The helper that enrols a run's hosts: a process of its own session, so that a killed command changes nothing.
//!
//! The command starts `foundry host bootstrap --for-run RUN` and writes the order to its standard input: one line of JSON,
//! then the password for sudo on a line of its own, which may be empty. So nothing depends on stack.yaml any more, and no
//! secret stands in arguments or environment. The helper leaves the terminal's session, says `ready`, and from then on
//! speaks only with the controller: progress and causes by ReportEnrolment. Its connection is its sign of life: once that
//! is gone, the run no longer waits for it.

use std::io;
use std::process::Stdio;

use camino::Utf8PathBuf;
use foundry_proto::operator::v1 as wire;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;
use tokio::sync::mpsc;

use super::enrol::Job;
use super::order::{Order, Target};
use super::rounds::{Enrolment, in_parallel};
use super::settings::Settings;
use crate::api::client::spawn::READY;
use crate::api::client::{Client, Start, connect};
use crate::cli::{CliError, Environment, Exit, runtime};
use crate::state::Paths;

/// Why the helper does not work.
#[derive(Debug, thiserror::Error)]
pub enum DetachError {
    /// It cannot be started.
    #[error("cannot start the helper that enrols hosts")]
    Spawn(#[source] io::Error),
    /// It ended before it had its order.
    #[error("the helper that enrols hosts ended at once; see {log}")]
    Died {
        /// What it wrote.
        log: Utf8PathBuf,
    },
}

/// An order on its way through a pipe, without the password.
#[derive(Serialize, Deserialize)]
struct Letter {
    fleet: String,
    targets: Vec<Target>,
    advertise: Vec<String>,
    accept_new_host_keys: bool,
    take_over: bool,
    parallel: u16,
}

/// Starts the helper for this run, and returns when it has its order and needs this process no more.
///
/// # Errors
///
/// See [`DetachError`].
pub async fn detach(
    environment: &Environment,
    order: &Order,
    run: &str,
) -> Result<(), DetachError> {
    let paths = Paths::new(&environment.home, &order.fleet);
    let log = paths.dir().join("bootstrap.log");
    let mut options = fs_err::OpenOptions::new();
    options.create(true).write(true).truncate(true);
    fs_err::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(&log).map_err(DetachError::Spawn)?;
    let program = std::env::current_exe().map_err(DetachError::Spawn)?;
    let mut command = Command::new(program);
    command
        .args(["host", "bootstrap", "--no-color", "--for-run", run])
        .env("FOUNDRY_HOME", &environment.home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(file.into_parts().0);
    for name in &environment.secret_variables {
        command.env_remove(name);
    }
    let mut child = command.spawn().map_err(DetachError::Spawn)?;
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(DetachError::Died { log });
    };
    let died = |_| DetachError::Died { log: log.clone() };
    stdin.write_all(&letter(order)).await.map_err(died)?;
    let password = order
        .password
        .as_ref()
        .map(|password| password.expose_secret())
        .unwrap_or_default();
    stdin.write_all(password.as_bytes()).await.map_err(died)?;
    stdin.write_all(b"\n").await.map_err(died)?;
    drop(stdin);
    let mut line = String::new();
    let read = BufReader::new(stdout).read_line(&mut line).await;
    match read {
        Ok(_) if line.trim_end() == READY => Ok(()),
        Ok(_) | Err(_) => Err(DetachError::Died { log }),
    }
}

/// Is the helper: enrols the hosts of the order on standard input for this run.
///
/// # Errors
///
/// The order cannot be read, or the controller is gone.
pub fn for_run(
    environment: &Environment,
    printer: &crate::output::Printer,
    run: &str,
) -> Result<Exit, CliError> {
    let order = read_order(io::stdin().lock())
        .map_err(|cause| CliError::because("cannot read what is to be enrolled", cause))?;
    // It fails only for the leader of a process group, which needs no new session.
    let _ = rustix::process::setsid();
    printer.signal(READY);
    let paths = Paths::new(&environment.home, &order.fleet);
    runtime::block_on(async {
        let client = connect(environment, &paths, &Start::Never).await?;
        let job = Job::new(&Settings::of(environment), &order, client.clone());
        enrol(&job, &order, client, run).await;
        Ok(Exit::Done)
    })
}

async fn enrol(job: &Job, order: &Order, client: Client, run: &str) {
    let (reports, queue) = mpsc::unbounded_channel();
    let say = |target: &Target, text: &str| {
        let _ = reports.send(report(run, &target.hostname, text));
    };
    let ended = |enrolment: &Enrolment| {
        let _ = reports.send(last_report(run, enrolment));
    };
    let telling = tokio::spawn(tell(client, queue));
    in_parallel(job, order, &say, &ended).await;
    drop(reports);
    // Whoever waits for the run needs the last word.
    let _ = telling.await;
}

/// Sends the reports in order.
async fn tell(mut client: Client, mut queue: mpsc::UnboundedReceiver<wire::EnrolmentReport>) {
    while let Some(report) = queue.recv().await {
        // A controller that is gone has interrupted the run: nobody is left to be told.
        let _ = client.report_enrolment(report).await;
    }
}

fn report(run: &str, hostname: &str, progress: &str) -> wire::EnrolmentReport {
    wire::EnrolmentReport {
        run: run.to_owned(),
        hostname: hostname.to_owned(),
        progress: progress.to_owned(),
        ..Default::default()
    }
}

fn last_report(run: &str, enrolment: &Enrolment) -> wire::EnrolmentReport {
    let hostname = &enrolment.hostname;
    let mut report = report(run, hostname, "");
    report.done = true;
    match &enrolment.result {
        Ok(success) => report.progress = success.warnings.join("; "),
        Err(cause) => {
            report.error = cause.to_string();
            report.hints = cause.hints(hostname);
        }
    }
    report
}

fn letter(order: &Order) -> Vec<u8> {
    let letter = Letter {
        fleet: order.fleet.to_string(),
        targets: order.targets.clone(),
        advertise: order.advertise.clone(),
        accept_new_host_keys: order.accept_new_host_keys,
        take_over: order.take_over,
        parallel: order.parallel,
    };
    let mut line = serde_json::to_vec(&letter).unwrap_or_default();
    line.push(b'\n');
    line
}

fn read_order(mut input: impl io::BufRead) -> io::Result<Order> {
    let mut line = String::new();
    input.read_line(&mut line)?;
    let letter: Letter = serde_json::from_str(&line)?;
    let mut password = zeroize::Zeroizing::new(String::new());
    input.read_line(&mut password)?;
    let password = password.trim_end_matches('\n');
    Ok(Order {
        fleet: letter.fleet.parse().map_err(io::Error::other)?,
        targets: letter.targets,
        advertise: letter.advertise,
        accept_new_host_keys: letter.accept_new_host_keys,
        take_over: letter.take_over,
        parallel: letter.parallel,
        password: (!password.is_empty()).then(|| SecretString::from(password.to_owned())),
    })
}

#[cfg(test)]
mod tests {
    use secrecy::{ExposeSecret as _, SecretString};

    use super::{letter, read_order};
    use crate::bootstrap::order::Order;
    use crate::bootstrap::ssh::tests::target;

    #[test]
    fn an_order_survives_the_pipe_and_its_password_is_not_in_the_letter() {
        let order = Order {
            fleet: "demo-1a2b3c".parse().unwrap(),
            targets: vec![target()],
            advertise: vec!["192.0.2.1:7443".to_owned()],
            accept_new_host_keys: true,
            take_over: false,
            parallel: 3,
            password: Some(SecretString::from("canary 7".to_owned())),
        };
        let mut pipe = letter(&order);
        assert!(!String::from_utf8_lossy(&pipe).contains("canary"));
        pipe.extend_from_slice(b"canary 7\n");
        let read = read_order(&pipe[..]).unwrap();
        assert_eq!(read.targets, order.targets);
        assert_eq!((read.parallel, read.accept_new_host_keys), (3, true));
        assert_eq!(read.password.unwrap().expose_secret(), "canary 7");
        let read = read_order(&letter(&order)[..]).unwrap();
        assert!(read.password.is_none());
    }
}
