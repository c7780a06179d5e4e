//! A controller in the background: started by the first command that needs one, found by the next, ended by `stop`.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

use crate::environment::{Environment, TWO_HOSTS};

/// A port that nobody listens on, and that no other test of this process is given.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Below the range that the kernel takes ports from for outgoing connections.
    let start = 20_000 + u16::try_from(std::process::id() % 8_000).unwrap();
    let mut ports = std::iter::repeat_with(|| start + NEXT.fetch_add(1, Ordering::Relaxed));
    ports
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .unwrap()
}

/// A fleet whose controller would listen on a port of its own.
fn fleet() -> Environment {
    let port = free_port();
    let environment = Environment::new();
    environment
        .foundry("config init --name demo --config stack.yaml")
        .with(0);
    let text = environment.read("stack.yaml");
    let listen = format!("controller: {{ listen: \"127.0.0.1:{port}\" }}\n");
    environment.write("stack.yaml", &format!("{listen}{text}"));
    environment
}

#[test]
fn the_first_command_starts_it_and_stop_ends_it() {
    let environment = fleet();
    let absent = environment
        .foundry("controller status -o json")
        .with(0)
        .json();
    assert_eq!(absent["running"], false);
    environment.foundry("host list").with(0);
    let first = environment
        .foundry("controller status -o json")
        .with(0)
        .json();
    assert_eq!(first["running"], true, "{first}");
    assert_eq!(first["idle_exit_ms"], 600_000);
    environment.foundry("host list").with(0);
    let second = environment
        .foundry("controller status -o json")
        .with(0)
        .json();
    assert_eq!(first["pid"], second["pid"]);
    environment.foundry("controller stop").with(0);
    environment
        .foundry("controller stop")
        .with(0)
        .says("no controller is running");
}

#[test]
fn two_commands_at_once_start_one() {
    let environment = fleet();
    std::thread::scope(|scope| {
        let commands: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| environment.foundry("host list")))
            .collect();
        for command in commands {
            command.join().unwrap().with(0);
        }
    });
    environment
        .foundry("controller status")
        .with(0)
        .says("running");
}

#[test]
fn one_that_dies_is_explained_by_its_log() {
    let environment = fleet();
    let fleets = fs_err::read_dir(environment.home().join("fleets")).unwrap();
    let fleet = fleets.filter_map(Result::ok).next().unwrap().path();
    fs_err::write(fleet.join("ca/seal.key"), "short").unwrap();
    let ended = environment.foundry("host list").with(1);
    ended.says("ended at once").says("seal.key");
}

#[test]
fn a_taken_port_is_said_before_hosts_are_touched() {
    let environment = fleet();
    let text = environment.read("stack.yaml");
    let listen = text
        .lines()
        .find(|line| line.starts_with("controller:"))
        .unwrap();
    let address = listen.split('"').nth(1).unwrap();
    let _taken = TcpListener::bind(address).unwrap();
    environment.write("stack.yaml", &format!("{text}\n"));
    environment.foundry("host add node1 192.0.2.1").with(0);
    environment
        .foundry("host bootstrap")
        .with(1)
        .says("is taken by")
        .says("controller.listen");
}

#[test]
fn it_cannot_be_run_for_a_file_without_a_fleet() {
    let environment = Environment::with_stack(TWO_HOSTS);
    environment
        .foundry("controller run")
        .with(2)
        .says("names no fleet yet");
}

#[test]
fn a_home_may_be_named_by_a_relative_path() {
    let mut environment = fleet();
    environment.set("FOUNDRY_HOME", "./home");
    environment.foundry("host list").with(0);
    let status = environment
        .foundry("controller status -o json")
        .with(0)
        .json();
    assert_eq!(status["running"], true, "{status}");
}
