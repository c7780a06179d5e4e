//! `stack validate` with a script in the place of ssh: what a far side may say, and what it is called.

use crate::environment::{Environment, TWO_HOSTS};

/// Prints to standard error and ends as ssh does when it fails.
fn ssh_that_says(text: &str) -> String {
    format!("cat >&2 <<'TEXT'\n{text}\nTEXT\nexit 255\n")
}

/// A far side that greets as a host does, then reads one line into `answer`.
fn ssh_that_greets(hello: &str) -> String {
    format!(
        "for last in \"$@\"; do :; done\n\
         nonce=${{last#*\\' foundry }}; nonce=${{nonce%% *}}\n\
         echo 'Welcome to the far side'\n\
         echo \"@@foundry-$nonce hello {hello}\"\n\
         read -r answer && echo \"$answer\" >\"$HOME/answer\"\n\
         env >\"$HOME/environment\"\n"
    )
}

#[test]
fn a_host_that_greets_is_reachable_and_told_to_quit() {
    let mut environment = Environment::with_stack(TWO_HOSTS);
    environment.use_ssh(&ssh_that_greets(
        "arch=x86_64 uid=0 init=systemd systemd=252 kernel=6.1.0 agent=none enrolled=none",
    ));
    environment.set("FOUNDRY_SECRET_myapp_token", "canary-1742");
    let validated = environment.foundry("stack validate").with(0);
    insta::assert_snapshot!(validated.stdout, @r"
    CHECK         HOST   RESULT  FOUND
    dependencies  -      ok      2 hosts, 0 services
    ssh           node1  ok      x86_64, kernel 6.1.0, systemd 252
    ssh           node2  ok      x86_64, kernel 6.1.0, systemd 252

    stack.yaml valid
    ");
    assert_eq!(environment.read("answer"), "quit\n");
    assert!(
        !environment.read("environment").contains("canary"),
        "children get no secrets"
    );
    assert!(!environment.home().exists());
}

#[test]
fn what_keeps_a_host_away_has_a_name() {
    let cases = [
        (
            "ssh: connect to host 192.0.2.1 port 22: Connection refused",
            "connection refused",
        ),
        (
            "root@192.0.2.1: Permission denied (publickey).",
            "permission denied (publickey)",
        ),
        (
            "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @",
            "host key has changed",
        ),
        ("Host key verification failed.", "host key is not known"),
        ("sudo: sorry, you must have a tty to run sudo", "requiretty"),
        (
            "kex_exchange_identification: read: Connection reset by peer",
            "closed the connection",
        ),
    ];
    for (said, cause) in cases {
        let mut environment = Environment::with_stack(TWO_HOSTS);
        environment.use_ssh(&ssh_that_says(said));
        let ended = environment.foundry("stack validate -o json").with(1);
        let json = ended.json();
        assert_eq!(json["valid"], false);
        let message = json["checks"][1]["message"].as_str().unwrap();
        assert!(message.contains(cause), "{message}");
        assert!(
            !json["checks"][1]["hints"].as_array().unwrap().is_empty(),
            "{json}"
        );
    }
}

#[test]
fn a_host_without_systemd_cannot_be_one() {
    let mut environment = Environment::with_stack(TWO_HOSTS);
    environment.use_ssh(&ssh_that_greets(
        "arch=x86_64 init=runit systemd=none kernel=6.1.0",
    ));
    environment
        .foundry("stack validate")
        .with(1)
        .says("no systemd: process 1 is runit");
}

#[test]
fn a_host_cannot_draw_on_the_terminal() {
    let mut environment = Environment::with_stack(TWO_HOSTS);
    environment
        .use_ssh("printf 'This account \\033[2J\\033]0;mine\\007 is closed\\n' >&2; exit 1\n");
    let ended = environment
        .foundry("stack validate")
        .with(1)
        .says("\\u{1b}[2J");
    assert!(!ended.stdout.contains('\u{1b}'), "{ended:#?}");
}

#[test]
fn an_ssh_that_is_not_there_is_named() {
    let mut environment = Environment::with_stack(TWO_HOSTS);
    environment.set("FOUNDRY_SSH", "/nowhere/ssh -v");
    environment
        .foundry("stack validate")
        .with(1)
        .says("/nowhere/ssh")
        .says("FOUNDRY_SSH");
}
