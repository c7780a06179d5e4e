//! Edits of files as people leave them: what was not asked for stays byte for byte.

use foundry_spec::edit::{EditError, NewHost, add_host, remove_host, set_fleet};
use foundry_spec::template::{Answers, new_file};
use foundry_spec::{Address, FleetName, parse};
use proptest::prelude::*;

const UGLY: &str = include_str!("files/ugly.yaml");

fn fleet(name: &str) -> FleetName {
    name.parse().expect("a fleet")
}

fn new_host(name: &str, address: &str) -> NewHost {
    NewHost {
        hostname: name.parse().expect("a hostname"),
        address: address.parse().expect("an address"),
        user: None,
        port: None,
    }
}

/// The lines of the second text that differ from the first, as `diff` shows them.
fn difference(before: &str, after: &str) -> String {
    let (mut before, mut after): (Vec<&str>, Vec<&str>) =
        (before.split('\n').collect(), after.split('\n').collect());
    while !before.is_empty() && before.first() == after.first() {
        before.remove(0);
        after.remove(0);
    }
    while !before.is_empty() && before.last() == after.last() {
        before.pop();
        after.pop();
    }
    let lines = |sign: char, lines: Vec<&str>| {
        lines
            .iter()
            .map(|line| format!("{sign}{line}\n"))
            .collect::<String>()
    };
    format!("{}{}", lines('-', before), lines('+', after))
}

#[test]
fn an_ugly_file_keeps_its_looks() {
    let with_fleet = set_fleet(UGLY, &fleet("prod-1a2b3c")).unwrap();
    assert_eq!(difference(UGLY, &with_fleet), "+fleet: prod-1a2b3c\n");
    let more = add_host(&with_fleet, &new_host("node4", "10.0.0.4")).unwrap();
    let added = "+  - hostname: node4\n+    address: 10.0.0.4\n";
    assert_eq!(difference(&with_fleet, &more), added);
    let less = remove_host(&more, "node4").unwrap();
    assert_eq!(less, with_fleet, "adding and removing is doing nothing");
    insta::assert_snapshot!(remove_host(UGLY, "node2").unwrap());
}

#[test]
fn line_ends_are_kept() {
    let dos = UGLY.replace('\n', "\r\n");
    for (unix, edited) in [
        (
            set_fleet(UGLY, &fleet("a-1")),
            set_fleet(&dos, &fleet("a-1")),
        ),
        (
            add_host(UGLY, &new_host("n", "a")),
            add_host(&dos, &new_host("n", "a")),
        ),
        (remove_host(UGLY, "node2"), remove_host(&dos, "node2")),
    ] {
        assert_eq!(edited.unwrap(), unix.unwrap().replace('\n', "\r\n"));
    }
}

/// `set_fleet` on one file and what comes of it.
#[test]
fn fleets() {
    for (before, after) in [
        (
            "version: \"1\" # form\ncluster: {name: a}\nhosts: []\n",
            "version: \"1\" # form\nfleet: a-1\ncluster: {name: a}\nhosts: []\n",
        ),
        (
            "{version: \"1\", cluster: {name: a}, hosts: []}",
            "{version: \"1\", fleet: a-1, cluster: {name: a}, hosts: []}",
        ),
        (
            "cluster: {name: a}\nhosts: []\nversion: 1",
            "cluster: {name: a}\nhosts: []\nversion: 1\nfleet: a-1",
        ),
        (
            "---\n  version: '1'\n  cluster: {name: a}\n  hosts: []\n...\n",
            "---\n  version: '1'\n  fleet: a-1\n  cluster: {name: a}\n  hosts: []\n...\n",
        ),
        (
            "version: 1\nfleet: b-2   # old\ncluster: {name: a}\nhosts: []\n",
            "version: 1\nfleet: a-1   # old\ncluster: {name: a}\nhosts: []\n",
        ),
        (
            "version: 1\n\"fleet\" :\ncluster: {name: a}\nhosts: []\n",
            "version: 1\n\"fleet\" : a-1\ncluster: {name: a}\nhosts: []\n",
        ),
        (
            "version: 1\nfleet: 'a-1'\ncluster: {name: a}\nhosts: []\n",
            "version: 1\nfleet: 'a-1'\ncluster: {name: a}\nhosts: []\n",
        ),
        (
            "\u{feff}version: 1\ncluster: {name: a}\nhosts: []\n",
            "\u{feff}version: 1\nfleet: a-1\ncluster: {name: a}\nhosts: []\n",
        ),
    ] {
        assert_eq!(set_fleet(before, &fleet("a-1")).as_deref(), Ok(after));
    }
    let number = "version: 1\ncluster: {name: a}\nhosts: []\n";
    let edited = set_fleet(number, &fleet("123")).unwrap();
    assert!(edited.contains("fleet: \"123\"\n"), "{edited}");
}

const HEAD: &str = "version: 1\ncluster: {name: a}\n";

#[test]
fn added_hosts() {
    let host = NewHost {
        user: Some("admin".to_owned()),
        port: Some(2222),
        ..new_host("n2", "2001:db8::2")
    };
    let in_lines =
        "- hostname: n2\n    address: \"2001:db8::2\"\n    user: admin\n    port: 2222\n";
    let in_line = "{ hostname: n2, address: \"2001:db8::2\", user: admin, port: 2222 }";
    for (before, after) in [
        ("hosts: []\n".to_owned(), format!("hosts:\n  {in_lines}")),
        ("hosts:   []  # none yet\n\n# end\n".to_owned(), format!("hosts:  # none yet\n  {in_lines}\n# end\n")),
        ("hosts: [ ]".to_owned(), format!("hosts:\n  {}", in_lines.trim_end())),
        ("hosts:\n  - {hostname: n1, address: a}\nservices: []\n".to_owned(), format!("hosts:\n  - {{hostname: n1, address: a}}\n  - {in_line}\nservices: []\n")),
        ("hosts: [{hostname: n1, address: a}] # x\n".to_owned(), format!("hosts: [{{hostname: n1, address: a}}, {in_line}] # x\n")),
        ("hosts: [\n  {hostname: n1, address: a}, # x\n]\n".to_owned(), format!("hosts: [\n  {{hostname: n1, address: a}}, {in_line}, # x\n]\n")),
        (
            "hosts:\n  - hostname: n1\n    address: a # end\n    # port: 22\n\n  # more\nservices: []\n".to_owned(),
            format!("hosts:\n  - hostname: n1\n    address: a # end\n    # port: 22\n  {in_lines}\n  # more\nservices: []\n"),
        ),
        (
            "hosts:\n- hostname: n1\n  address: a".to_owned(),
            format!("hosts:\n- hostname: n1\n  address: a\n{}", in_lines.trim_end().replace("\n    ", "\n  ")),
        ),
        (
            "hosts:\n  - address: a\n    hostname: >-\n      n1\n\n\nservices: []\n".to_owned(),
            String::new(),
        ),
    ] {
        let before = format!("{HEAD}{before}");
        let edited = add_host(&before, &host).unwrap();
        let stack = parse(&edited, "x").unwrap().stack;
        assert_eq!(stack.hosts.last().unwrap().port, Some(2222), "{edited}");
        if !after.is_empty() {
            assert_eq!(edited, format!("{HEAD}{after}"));
        }
    }
}

#[test]
fn removed_hosts() {
    for (before, after) in [
        (
            "hosts:\n  - hostname: n1\n    address: a\n  # two\n  - hostname: n2\n    address: b\n",
            "hosts:\n  # two\n  - hostname: n2\n    address: b\n",
        ),
        (
            "hosts:  # ours\n  - hostname: n1\n    address: a\nservices: []\n",
            "hosts: []  # ours\nservices: []\n",
        ),
        ("hosts: [{hostname: n1, address: a}]\n", "hosts: []\n"),
        (
            "hosts: [{hostname: n1, address: a}, {hostname: n2, address: b}]\n",
            "hosts: [{hostname: n2, address: b}]\n",
        ),
        (
            "hosts: [{hostname: n2, address: b}, {hostname: n1, address: a},]\n",
            "hosts: [{hostname: n2, address: b},]\n",
        ),
        (
            "hosts:\n- &x\n  hostname: n2\n  address: b\n-\n  # the one\n  hostname: n1\n  address: a",
            "hosts:\n- &x\n  hostname: n2\n  address: b\n",
        ),
        (
            "hosts:\n  - {hostname: n1, address: a}\n  - {hostname: n2, address: b}\nservices:\n  - name: s\n    image: quay.io/a/b:1\n    hosts: &on\n      - n1 # first\n      - n2\n  - name: t\n    image: quay.io/a/b:1\n    hosts: *on\ncomponents: {zot: {hosts: [n2]}, openbao: {}}\n",
            "hosts:\n  - {hostname: n2, address: b}\nservices:\n  - name: s\n    image: quay.io/a/b:1\n    hosts: &on\n      - n2\n  - name: t\n    image: quay.io/a/b:1\n    hosts: *on\ncomponents: {zot: {hosts: [n2]}, openbao: {}}\n",
        ),
    ] {
        let edited = remove_host(&format!("{HEAD}{before}"), "n1");
        assert_eq!(edited, Ok(format!("{HEAD}{after}")), "{before}");
    }
}

#[test]
fn what_is_refused() {
    let two = "hosts:\n  - {hostname: node1, address: a}\n  - {hostname: node2, address: b}\n";
    let valid = format!("{HEAD}{two}");
    let broken = "version: 1\nhosts: {}\n";
    assert!(
        matches!(remove_host(broken, "n"), Err(EditError::Before(errors)) if errors.len() == 2)
    );
    let error = add_host(&valid, &new_host("node3", "a")).unwrap_err();
    assert!(matches!(error, EditError::After(ref errors) if errors[0].message.contains("node1")));
    assert_eq!(
        remove_host(&valid, "node"),
        Err(EditError::NoSuchHost {
            name: "node".to_owned(),
            nearest: Some("node2".to_owned())
        })
    );
    let older = "version: 1\ncluster:\n  name: a\n  nodes: [{hostname: n}]\n";
    let refused = |result: Result<String, EditError>, line: usize, part: &str| match result {
        Err(EditError::Untouchable { line: at, why }) => {
            assert!(at == line && why.contains(part), "{at}: {why}");
        }
        other => panic!("{other:?}"),
    };
    refused(remove_host(older, "n"), 4, "older form");
    let alone =
        format!("{valid}services:\n  - {{name: s, image: \"quay.io/a/b:1\", hosts: [node1]}}\n");
    refused(remove_host(&alone, "node1"), 7, "on that host alone");
    let elsewhere = format!("{HEAD}components: {{k3s: {{config: {{x: &h [{{hostname: n, address: a}}]}}}}}}\nhosts: *h\n")
        .replace("name: a}", "name: a, vip: 10.9.9.9}");
    refused(
        add_host(&elsewhere, &new_host("m", "b")),
        4,
        "another place",
    );
    let merged = format!(
        "{HEAD}hosts:\n  - &b {{hostname: node1, address: a}}\n  - {{<<: *b, hostname: node2, address: b}}\n"
    );
    assert!(matches!(
        remove_host(&merged, "node1"),
        Err(EditError::After(_))
    ));
}

#[test]
fn a_new_file_says_what_was_answered() {
    let answers = Answers {
        name: "production".to_owned(),
        domain: Some("example.com".to_owned()),
        vip: Some("192.168.1.100".parse().unwrap()),
        fleet: Some(fleet("production-7f3a9c")),
        hosts: vec![
            NewHost {
                user: Some("root".to_owned()),
                ..new_host("node1", "192.168.1.20")
            },
            NewHost {
                port: Some(22),
                ..new_host("node2", "2001:db8::2")
            },
        ],
    };
    insta::assert_snapshot!(new_file(&answers).unwrap());
    let bare = Answers {
        domain: None,
        vip: None,
        fleet: None,
        hosts: Vec::new(),
        ..answers.clone()
    };
    let text = new_file(&bare).unwrap();
    assert!(parse(&text, "x").unwrap().stack.hosts.is_empty());
    let text = set_fleet(&text, &fleet("a-1")).unwrap();
    let text = add_host(&text, &new_host("n1", "a")).unwrap();
    assert_eq!(parse(&text, "x").unwrap().stack.hosts.len(), 1);
    let wrong = Answers {
        name: "Not a name".to_owned(),
        ..answers
    };
    assert!(
        new_file(&wrong).unwrap_err()[0]
            .message
            .contains("`Not a name`")
    );
}

fn names() -> impl Strategy<Value = String> {
    "[a-z0-9]([a-z0-9-]{0,6}[a-z0-9])?"
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn adding_any_host_and_removing_it_changes_nothing(
        name in names(),
        address in "[a-z0-9][a-z0-9.:-]{0,9}",
        user in prop::option::of("[a-z0-9_$\\\\.][a-z0-9_$\\\\.-]{0,5}"),
        port in prop::option::of(1u16..),
    ) {
        prop_assume!(!["node1", "node2", "node3"].contains(&name.as_str()));
        let Ok(address) = address.parse::<Address>() else { return Ok(()) };
        let host = NewHost { hostname: name.parse().unwrap(), address, user, port };
        match add_host(UGLY, &host) {
            Ok(more) => {
                let stack = parse(&more, "x").unwrap().stack;
                let added = stack.host(&name).unwrap();
                prop_assert_eq!(&added.address, &host.address);
                prop_assert_eq!(&added.user, &host.user);
                let less = remove_host(&more, &name);
                prop_assert_eq!(less.as_deref(), Ok(UGLY));
            }
            Err(EditError::After(_)) => {}
            Err(error) => return Err(TestCaseError::fail(format!("{error:?}"))),
        }
    }
}
