//! Sessions as they were recorded, and what they come to.

use foundry_proto::agent::v1::{
    EnrolGrant, EnrolMessage, EnrolOffer, EnrolResult, enrol_message::Body, enrol_result::Kind,
};
use foundry_proto::{Digest, framing};

use super::{Dialogue, Phase, Turn};
use crate::bootstrap::cause::Cause;

const HELLO: &str = "@@foundry-n1 hello arch=x86_64 uid=0 init=systemd systemd=252 kernel=6.1.0-18-amd64 \
                     clock=1700000000 agent=none enrolled=none since=0 client=198.18.0.1\n";

fn dialogue() -> Dialogue {
    Dialogue::new("n1", "ask-77")
}

fn frame(body: Body) -> bytes::Bytes {
    framing::encode(&EnrolMessage { body: Some(body) })
}

/// A dialogue in which the agent speaks.
fn enrolling() -> Dialogue {
    let mut dialogue = dialogue();
    dialogue.stdout(HELLO.as_bytes());
    assert!(matches!(dialogue.next(), Ok(Some(Turn::Hello(_)))));
    dialogue.send(4, &Digest::of(b"x"));
    dialogue.stdout(b"@@foundry-n1 enrol\n");
    assert_eq!(dialogue.next(), Ok(None));
    dialogue
}

/// How a session ends that never came to hello.
fn opening(stderr: &str, code: i32) -> Cause {
    let mut dialogue = dialogue();
    dialogue.stderr(stderr.as_bytes());
    assert_eq!(dialogue.next(), Ok(None));
    dialogue.closed(Some(code)).unwrap_err()
}

#[test]
fn a_whole_session_in_single_bytes() {
    let offer = EnrolOffer {
        csr: b"csr".as_slice().into(),
        ..Default::default()
    };
    let result = EnrolResult {
        kind: Kind::Enrolled.into(),
        ..Default::default()
    };
    let mut dialogue = dialogue();
    let mut turns = Vec::new();
    let mut said = Vec::from(HELLO.as_bytes());
    said.extend_from_slice(b"@@foundry-n1 enrol\n");
    said.extend_from_slice(&frame(Body::Offer(offer.clone())));
    said.extend_from_slice(&frame(Body::Result(result.clone())));
    said.extend_from_slice(
        b"@@foundry-n1 ended 0\n@@foundry-n1 journal up\n@@foundry-n1 journal down\n",
    );
    said.extend_from_slice(b"@@foundry-n1 done\n");
    for byte in said {
        dialogue.stdout(&[byte]);
        while let Some(turn) = dialogue.next().unwrap() {
            if matches!(turn, Turn::Hello(_)) {
                assert_eq!(&dialogue.send(4, &Digest::of(b"x"))[..7], b"send 4 ");
            }
            turns.push(turn);
        }
    }
    assert!(matches!(turns[0], Turn::Hello(ref hello) if hello.systemd == Some(252)));
    assert_eq!(
        turns[1..],
        [
            Turn::Offer(Box::new(offer)),
            Turn::Result(result),
            Turn::Ended,
            Turn::Journal("up\ndown".to_owned())
        ]
    );
    assert_eq!(dialogue.closed(Some(0)), Ok(Turn::Closed));
}

#[test]
fn banners_are_skipped_even_without_a_line_break() {
    let mut dialogue = dialogue();
    dialogue.stdout(b"Welcome!\nLast login: @@foundry-other hello arch=vax\nType help> ");
    assert_eq!(dialogue.next(), Ok(None));
    dialogue.stdout(HELLO.as_bytes());
    let turn = dialogue.next().unwrap();
    assert!(matches!(turn, Some(Turn::Hello(hello)) if hello.architecture == "x86_64"));
}

#[test]
fn an_endless_banner_takes_no_endless_memory() {
    let mut dialogue = dialogue();
    for _ in 0..100 {
        dialogue.stdout(&[b'x'; 10_000]);
        assert_eq!(dialogue.next(), Ok(None));
        dialogue.stderr(&[b'y'; 10_000]);
    }
    assert!(dialogue.stdout.len() <= 80_000, "{}", dialogue.stdout.len());
    assert!(
        dialogue.stderr.len() <= 150_000,
        "{}",
        dialogue.stderr.len()
    );
}

#[test]
fn sudo_is_answered_once() {
    let mut dialogue = dialogue();
    dialogue.stderr(b"We trust you have received the usual lecture\nask-");
    assert_eq!(dialogue.next(), Ok(None));
    dialogue.stderr(b"77");
    assert_eq!(dialogue.next(), Ok(Some(Turn::Password)));
    assert_eq!(dialogue.next(), Ok(None));
    dialogue.stderr(b"Sorry, try again.\nask-77");
    assert_eq!(dialogue.next(), Err(Cause::SudoWrongPassword));
}

#[test]
fn sudo_that_needs_no_password_after_all_is_not_answered() {
    let mut dialogue = dialogue();
    dialogue.stdout(HELLO.as_bytes());
    assert!(matches!(dialogue.next(), Ok(Some(Turn::Hello(_)))));
}

#[test]
fn what_sudo_says_has_names() {
    let cases = [
        (
            "sudo: sorry, you must have a tty to run sudo\n",
            Cause::SudoNeedsTerminal,
        ),
        ("sudo: a password is required\n", Cause::SudoNeedsPassword),
        (
            "ask-77\nsudo: no password was provided\nsudo: a password is required\n",
            Cause::SudoNeedsPassword,
        ),
        (
            "ada is not in the sudoers file.\n",
            Cause::SudoNotAllowed("ada is not in the sudoers file.".to_owned()),
        ),
    ];
    for (stderr, cause) in cases {
        let mut dialogue = dialogue();
        dialogue.stderr(stderr.as_bytes());
        let _ = dialogue.next();
        assert_eq!(dialogue.closed(Some(1)), Err(cause), "{stderr}");
    }
}

#[test]
fn what_ssh_says_has_names() {
    let changed = "@@@@@@@@@@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n@@@@@@@@@@@@\n\
                   IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!\n\
                   Offending ED25519 key in /home/ada/.ssh/known_hosts:7\n\
                   Host key for 192.0.2.7 has changed and you have requested strict checking.\n\
                   Host key verification failed.\n";
    let known = "/home/ada/.ssh/known_hosts:7".to_owned();
    assert_eq!(opening(changed, 255), Cause::HostKeyChanged { known });
    let unknown = "No ED25519 host key is known for 192.0.2.7 and you have requested strict checking.\n\
                   Host key verification failed.\n";
    assert_eq!(opening(unknown, 255), Cause::HostKeyUnknown);
    let denied = "root@192.0.2.7: Permission denied (publickey,password).\n";
    assert_eq!(
        opening(denied, 255),
        Cause::KeyRefused {
            methods: "publickey,password".to_owned()
        }
    );
    let down = "ssh: connect to host 192.0.2.7 port 22: ";
    assert_eq!(
        opening(&format!("{down}Connection refused\n"), 255),
        Cause::Refused
    );
    assert_eq!(
        opening(&format!("{down}Connection timed out\n"), 255),
        Cause::TimedOut
    );
    assert_eq!(
        opening(&format!("{down}No route to host\n"), 255),
        Cause::NoRoute
    );
    let name = "ssh: Could not resolve hostname nowhere: Name or service not known\n";
    assert_eq!(opening(name, 255), Cause::NoAddress("nowhere".to_owned()));
    let reset = "kex_exchange_identification: Connection closed by remote host\n";
    assert!(matches!(opening(reset, 255), Cause::ClosedEarly(_)));
    assert!(matches!(
        opening("This account is not available.\n", 1),
        Cause::Ssh(_)
    ));
}

#[test]
fn a_connection_lost_half_way_through_the_upload_says_so() {
    let mut dialogue = dialogue();
    dialogue.stdout(HELLO.as_bytes());
    assert!(matches!(dialogue.next(), Ok(Some(Turn::Hello(_)))));
    dialogue.send(1000, &Digest::of(b"x"));
    assert_eq!(dialogue.phase(), Phase::Sending);
    dialogue.stderr(b"client_loop: send disconnect: Broken pipe\n");
    let cause = dialogue.closed(Some(255)).unwrap_err();
    assert!(
        matches!(cause, Cause::UploadBroken { ref ssh } if ssh.contains("Broken pipe")),
        "{cause}"
    );
}

#[test]
fn a_full_disk_is_told_from_a_broken_agent() {
    for (said, full) in [
        ("gzip: stdout: No space left on device", true),
        ("gzip: stdin: unexpected end of file", false),
    ] {
        let mut dialogue = dialogue();
        dialogue.stdout(HELLO.as_bytes());
        assert!(matches!(dialogue.next(), Ok(Some(Turn::Hello(_)))));
        dialogue.send(4, &Digest::of(b"x"));
        // In the line itself: standard error may arrive later.
        dialogue.stdout(format!("@@foundry-n1 failed unpack {said}\n").as_bytes());
        assert_eq!(dialogue.next(), Ok(None));
        let cause = dialogue.closed(Some(1)).unwrap_err();
        assert_eq!(cause == Cause::NoSpace, full, "{cause}");
    }
}

#[test]
fn an_agent_that_dies_is_not_waited_for() {
    let mut dialogue = enrolling();
    dialogue.stderr(b"foundry-agent: cannot write /var/lib/foundry: read-only file system\n");
    dialogue.stdout(b"@@foundry-n1 ended 1\n");
    assert_eq!(dialogue.next(), Ok(None));
    let cause = dialogue.closed(Some(0)).unwrap_err();
    assert!(
        matches!(cause, Cause::AgentEnded { ref said } if said.contains("read-only")),
        "{cause}"
    );
    assert!(matches!(
        enrolling().closed(Some(0)),
        Err(Cause::AgentEnded { .. })
    ));
}

#[test]
fn a_frame_is_not_taken_for_a_line() {
    let mut dialogue = enrolling();
    let offer = EnrolOffer {
        csr: vec![b'@'; 50].into(),
        ..Default::default()
    };
    let frame = frame(Body::Offer(offer.clone()));
    dialogue.stdout(&frame[..1]);
    assert_eq!(dialogue.next(), Ok(None));
    dialogue.stdout(&frame[1..]);
    assert_eq!(dialogue.next(), Ok(Some(Turn::Offer(Box::new(offer)))));
    let grant = dialogue.grant(EnrolGrant::default());
    assert!(!grant.is_empty());
}

#[test]
fn nonsense_from_the_far_side_is_an_error() {
    let mut dialogue = enrolling();
    dialogue.stdout(&[0xff; 16]);
    assert!(matches!(dialogue.next(), Err(Cause::Protocol(_))));
    let mut dialogue = enrolling();
    dialogue.stdout(&frame(Body::Grant(EnrolGrant::default())));
    assert!(matches!(dialogue.next(), Err(Cause::Protocol(_))));
}

#[test]
fn neither_root_nor_sudo_is_said_with_the_user() {
    let mut dialogue = dialogue();
    dialogue.stdout(b"@@foundry-n1 failed no-sudo ada\n");
    assert_eq!(dialogue.next(), Ok(None));
    assert_eq!(
        dialogue.closed(Some(3)),
        Err(Cause::NoSudo {
            user: "ada".to_owned()
        })
    );
}
