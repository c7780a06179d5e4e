//! `host bootstrap` and the enrolment of `stack install`, with a real controller and a script in the place of ssh that
//! plays the host.

use foundry_link::pki::HostKey;
use foundry_proto::agent::v1::{
    EnrolMessage, EnrolOffer, EnrolResult, enrol_message::Body, enrol_result::Kind,
};
use foundry_proto::{Digest, framing};

use crate::controller::free_port;
use crate::environment::Environment;

/// What every host does first: it finds nonce and marker in its arguments.
const HOST: &str = "\
for last in \"$@\"; do :; done
rest=${last#*\\' foundry }; nonce=${rest%% *}
rest=${rest#* }; marker=${rest%% *}
say() { echo \"@@foundry-$nonce $*\"; }
hello() { say hello arch=x86_64 init=systemd systemd=252 kernel=6.1.0 clock=$(date +%s) client=192.0.2.9 \"$@\"; }
echo \"$*\" >>\"$HOME/arguments\"; env >>\"$HOME/variables\"
";

/// Takes the agent, says its offer, waits for a grant and says its result.
const ENROLS: &str = "\
hello agent=none enrolled=none
read -r verb size digest
head -c \"$size\" | gzip -dc >\"$HOME/taken\"
say enrol
cat \"$HOME/offer\"
head -c 1 >/dev/null
cat \"$HOME/result\"
say ended 0
read -r verb
";

const AGENT: &str = "not really an agent";

/// A fleet with one bare host that behaves like this.
fn host_that(does: &str) -> Environment {
    let mut environment = Environment::with_stack(&format!(
        "version: \"1\"\ncluster: {{ name: demo }}\ncontroller: {{ listen: \"127.0.0.1:{}\" }}\nhosts:\n  - \
         hostname: node1\n    address: 192.0.2.1\n",
        free_port()
    ));
    environment.use_ssh(&format!("{HOST}{does}"));
    environment.write("foundry-agent-x86_64", AGENT);
    environment.set("FOUNDRY_AGENT_DIR", environment.path().to_string());
    environment
}

/// A host whose agent offers a key and ends like this.
fn host_whose_agent_says(kind: Kind, message: &str) -> Environment {
    let environment = host_that(ENROLS);
    let csr = HostKey::generate().unwrap().csr_der().unwrap();
    let offer = EnrolOffer {
        csr: csr.into(),
        version: "0.1.0".to_owned(),
        ..Default::default()
    };
    let result = EnrolResult {
        kind: kind.into(),
        message: message.to_owned(),
        ..Default::default()
    };
    for (name, body) in [
        ("offer", Body::Offer(offer)),
        ("result", Body::Result(result)),
    ] {
        let frame = framing::encode(&EnrolMessage { body: Some(body) });
        fs_err::write(environment.path().join(name), frame).unwrap();
    }
    environment
}

/// The cause that `host bootstrap -o json` gives for the only host.
#[track_caller]
fn cause(environment: &Environment, options: &str) -> String {
    let ended = environment.foundry(&format!("host bootstrap -o json {options}"));
    let json = ended.with(1).json();
    assert_eq!(json["hosts"][0]["outcome"], "failed");
    json["hosts"][0]["cause"].as_str().unwrap().to_owned()
}

#[test]
fn the_agent_arrives_whole_and_its_last_word_is_the_cause() {
    let said = "192.0.2.9:7443 not reachable from host";
    let environment = host_whose_agent_says(Kind::Unreachable, said);
    assert_eq!(cause(&environment, ""), said);
    assert_eq!(environment.read("taken"), AGENT);
    let kept = environment
        .home()
        .join("cache/agents")
        .join(format!("{}.gz", Digest::of(AGENT.as_bytes())));
    assert!(kept.is_file(), "the packed agent is kept for the next host");
    environment
        .foundry("host bootstrap")
        .with(1)
        .says("controller.advertise");
}

#[test]
fn an_install_enrols_by_a_helper_that_reports_to_the_run() {
    let environment = host_whose_agent_says(Kind::Systemd, "systemd does not answer");
    let ended = environment.foundry("stack install --yes -o json").with(1);
    let run = ended.json();
    assert_eq!(run["outcome"], "failed");
    assert_eq!(run["steps"][0]["id"], "node1/enrol");
    assert_eq!(run["steps"][0]["cause"], "systemd does not answer");
    let id = run["run"].as_str().unwrap();
    let shown = environment.foundry(&format!("runs show {id}")).with(0);
    shown.says("systemd does not answer");
    environment.foundry("runs list").with(0).says(id);
    environment
        .foundry("runs show nonsense")
        .with(2)
        .says("nonsense");
    environment
        .foundry("events -o json -n 5")
        .with(0)
        .says("\"kind\":\"run\"");
}

#[test]
fn an_install_says_what_kept_ssh_away() {
    let environment =
        host_that("echo 'root@192.0.2.1: Permission denied (publickey).' >&2; exit 255\n");
    let ended = environment.foundry("stack install --yes").with(1);
    ended
        .says("permission denied (publickey)")
        .says("foundry host bootstrap node1");
}

#[test]
fn an_agent_that_ends_without_a_word_is_not_waited_for() {
    let environment = host_that(
        "hello agent=none\nread -r verb size digest\nhead -c \"$size\" >/dev/null\nsay enrol\n\
         echo 'foundry-agent: exec format error' >&2\nsay ended 126\n",
    );
    assert_eq!(
        cause(&environment, ""),
        "the agent's enrolment failed: foundry-agent: exec format error"
    );
}

#[test]
fn a_full_disk_and_a_lost_connection_are_told_apart() {
    let takes = "hello agent=none\nread -r verb size digest\nhead -c 10 >/dev/null\n";
    let full = host_that(&format!(
        "{takes}say failed unpack gzip: stdout: No space left on device\n"
    ));
    assert_eq!(cause(&full, ""), "no space left on its disk");
    let lost = host_that(&format!(
        "{takes}echo 'client_loop: send disconnect: Broken pipe' >&2\nexit 255\n"
    ));
    assert!(cause(&lost, "").contains("the connection ended while the agent was being sent"));
}

#[test]
fn what_a_host_is_decides_before_anything_is_sent() {
    let cases = [
        ("arch=riscv64", "architecture riscv64 not built"),
        ("arch=aarch64", "foundry-agent-aarch64 is not at hand"),
        ("systemd=none init=runit", "no systemd: process 1 is runit"),
        ("clock=1000000000", "behind"),
        (
            "enrolled=other-1a2b3c/0123/1 since=1700000000",
            "fleet `other-1a2b3c` since 2023-11-1",
        ),
    ];
    for (says, expected) in cases {
        let environment = host_that(&format!(
            "hello agent=none {says}
cat >>\"$HOME/taken\"
"
        ));
        environment.write("taken", "");
        let cause = cause(&environment, "");
        assert!(cause.contains(expected), "{cause}");
        assert_eq!(environment.read("taken"), "");
    }
}

#[test]
fn sudo_gets_its_password_once_and_nobody_else_does() {
    let asks = "printf 'lecture\\n%s' \"$marker\" >&2\nread -r password || exit 1\n\
                if [ \"$password\" != 'right horse' ]; then echo 'Sorry, try again.' >&2; printf %s \"$marker\" >&2; \
                read -r x; exit 1; fi\n";
    let environment = host_that(&format!("{asks}hello systemd=none init=known\n"));
    assert_eq!(cause(&environment, ""), "sudo needs a password");
    environment.write("wrong", "wrong horse\n");
    assert_eq!(
        cause(&environment, "--become-password-file wrong"),
        "the password for sudo is wrong"
    );
    environment.write("right", "right horse\nsecond line\n");
    assert_eq!(
        cause(&environment, "--become-password-file right"),
        "no systemd: process 1 is known"
    );
    environment
        .foundry("host bootstrap --become-password-file gone")
        .with(2)
        .says("gone");
    for seen in ["arguments", "variables"] {
        assert!(!environment.read(seen).contains("horse"), "{seen}");
    }
}

#[test]
fn what_this_version_does_not_do_is_refused_by_name() {
    let environment = host_that("exit 1\n");
    let text = environment.read("stack.yaml");
    environment.write("stack.yaml", &text.replace("192.0.2.1", "local"));
    assert!(cause(&environment, "").contains("`address: local` does not work yet"));
    let text = environment.read("stack.yaml");
    environment.write(
        "stack.yaml",
        &text.replace("address: local", "address: 192.0.2.1\n    reach: ssh"),
    );
    assert!(cause(&environment, "").contains("`reach: ssh` does not work yet"));
}
