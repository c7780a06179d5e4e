//! Files as people write them, and what is said about them.

use foundry_spec::{
    Become, ComponentKind, Parsed, Reach, Role, SpecError, Value, VipHolder, parse,
};

fn good(source: &str) -> Parsed {
    parse(source, "stack.yaml").unwrap_or_else(|errors| panic!("{}", told(&errors)))
}

fn errors(source: &str) -> Vec<SpecError> {
    parse(source, "stack.yaml").expect_err("the file must not be valid")
}

fn told(errors: &[SpecError]) -> String {
    let mut text = String::new();
    for error in errors {
        text.push_str(&format!("{error}\n"));
        for (word, more) in [("expected", &error.expected), ("hint", &error.hint)] {
            if let Some(more) = more {
                text.push_str(&format!("    {word}: {more}\n"));
            }
        }
    }
    text
}

const FULL: &str = include_str!("files/full.yaml");

#[test]
fn everything_that_may_stand_in_a_file() {
    let Parsed { stack, warnings } = good(FULL);
    assert_eq!(warnings, []);
    assert_eq!(stack.fleet.as_ref().unwrap().as_str(), "production-7f3a9c");
    assert_eq!(stack.cluster.vip.unwrap().holder, VipHolder::KubeVip);
    assert_eq!(stack.controller.at.as_deref(), Some("ssh://admin@ctl1"));
    let node2 = stack.host("node2").unwrap();
    assert_eq!((node2.become_root, node2.reach), (Become::Sudo, Reach::Ssh));
    assert_eq!(
        (node2.role, node2.port),
        (Some(Role::ControlPlane), Some(2222))
    );
    let kinds: Vec<_> = stack
        .components
        .iter()
        .map(|component| component.kind)
        .collect();
    assert_eq!(
        kinds,
        ComponentKind::ALL,
        "in the order of their dependencies"
    );
    let k3s = stack.component(ComponentKind::K3s).unwrap();
    assert_eq!(k3s.hosts.len(), 2, "all hosts by default");
    assert_eq!(
        k3s.config.get("write-kubeconfig-mode"),
        Some(&Value::Integer(0o600))
    );
    let whoami = stack.service("whoami").unwrap();
    assert_eq!(whoami.env.get("LEVEL").unwrap().as_literal(), Some("3"));
    assert_eq!(
        whoami.env.get("DB_PASSWORD").unwrap().secrets()[0].path,
        "db/main"
    );
    assert_eq!(
        whoami
            .health
            .as_ref()
            .unwrap()
            .interval
            .unwrap()
            .as_millis(),
        5000
    );
    assert_eq!(whoami.instance.as_str(), "whoami-prod");
    let local = stack.service("local").unwrap();
    assert_eq!(local.hosts.len(), 2, "all hosts where none is named");
    assert_eq!(local.instance.as_str(), "local");
}

#[test]
fn what_config_show_prints() {
    insta::assert_json_snapshot!(good(FULL).stack);
}

#[test]
fn all_errors_at_once() {
    insta::assert_snapshot!(told(&errors(include_str!("files/wrong.yaml"))));
}

#[test]
fn the_smallest_file() {
    let stack = good("version: 1\ncluster: {name: a}\nhosts: []\n").stack;
    assert!(stack.hosts.is_empty() && stack.services.is_empty());
    assert_eq!(stack.controller.listen.to_string(), "[::]:7443");
}

/// A file with one host, one service and whatever a test adds.
fn with(more: &str) -> String {
    format!(
        "version: \"1\"\ncluster: {{name: a}}\nhosts:\n  - {{hostname: node1, address: 10.0.0.1}}\n  - {{hostname: node2, address: 10.0.0.2}}\n{more}"
    )
}

/// A file with services in the given lines.
fn with_services(lines: &[&str]) -> String {
    let services = lines
        .iter()
        .map(|line| format!("  - {{{line}}}\n"))
        .collect::<String>();
    with(&format!("services:\n{services}"))
}

const IMAGE: &str = "image: \"docker.io/library/nginx:1\"";

#[test]
fn one_error_each() {
    let service = |more: &str| with_services(&[&format!("name: a, {IMAGE}, {more}")]);
    let cases: Vec<(String, &str, &str)> = vec![
        (String::new(), "the file is empty", ""),
        ("a: [1, 2".to_owned(), "this is not YAML", ""),
        (
            "- 1\n".to_owned(),
            "stack.yaml is a list, not a mapping",
            "",
        ),
        (
            "cluster: {name: a}\nhosts: []\n".to_owned(),
            "`version` is missing",
            "",
        ),
        (
            "version: \"1\"\nhosts: []\n".to_owned(),
            "`cluster` is missing",
            "",
        ),
        (
            "version: \"1\"\ncluster: {name: a}\n".to_owned(),
            "`hosts` is missing",
            "",
        ),
        (
            with("version: \"1\"\n"),
            "`version` stands here twice",
            "on line 1",
        ),
        (
            with("service: []\n"),
            "`service` is not a key of stack.yaml",
            "`services`",
        ),
        (with("fleet: Prod\n"), "`Prod` is not a fleet", ""),
        (
            with("controller: {listen: 7443}\n"),
            "`7443` is not an address and port",
            "",
        ),
        (
            with("controller: {advertise: [ctl]}\n"),
            "`ctl` is not host:port",
            "",
        ),
        (
            with("controller: {at: ctl}\n"),
            "not of the form ssh://",
            "",
        ),
        (
            with("components: {k3s: {}}\n"),
            "`vip` is missing in `cluster`",
            "k3s",
        ),
        (
            with("components: {zot: {hosts: [node1, node2]}}\n"),
            "zot runs on one host",
            "",
        ),
        (
            with("components: {openbao: {hosts: [node1, node2]}}\n"),
            "openbao on 2 hosts",
            "",
        ),
        (
            with("components: {zot: {hosts: [node3]}}\n"),
            "there is no host `node3`",
            "`node",
        ),
        (
            with("components: {contour: {hosts: [node1]}}\n"),
            "`hosts` is not a key of",
            "",
        ),
        (
            with("components: {cert-manager: {}, certmanager: {}}\n"),
            "stands here twice",
            "",
        ),
        (
            with("components: {k3s: {config: {a: [{b: \"${secret:x}\"}]}}}\n")
                .replace("name: a}", "name: a, vip: 10.0.0.9}"),
            "is not a secret reference",
            "",
        ),
        (
            with("components: {zot: {config: {mode: 0600}}}\n"),
            "`0600` means different numbers",
            "0o600",
        ),
        (
            with("").replace("name: a}", "name: a, vip: 10.0.0.2}"),
            "is the address of host node2",
            "",
        ),
        (
            with("").replace("name: a}", "name: a, vip: home}"),
            "`home` is not an IP address",
            "",
        ),
        (
            with("").replace("name: a}", "name: a, vip: 127.0.0.1}"),
            "a host can hold",
            "",
        ),
        (
            with("").replace("name: a}", "name: a, vip: {address: 10.0.0.9, by: extern}}"),
            "`extern` is no value of `by`",
            "`external`",
        ),
        (
            with("").replace("10.0.0.2", "10.0.0.1"),
            "is the address of host node1 already",
            "line 4",
        ),
        (
            with("").replace("node2", "node1"),
            "two hosts are named `node1`",
            "line 4",
        ),
        (
            with("").replace("10.0.0.2", "10.0.0.2, reach: dail"),
            "no value of `reach`",
            "`dial`",
        ),
        (
            with("").replace("10.0.0.2", "10.0.0.2, become: su"),
            "no value of `become`",
            "",
        ),
        (
            with("").replace("10.0.0.2", "10.0.0.2, internal: lan"),
            "`lan` is not an IP",
            "",
        ),
        (
            with("").replace("10.0.0.2", "10.0.0.2, labels: {a: b c}"),
            "`b c` is not a label",
            "",
        ),
        (
            with("").replace("10.0.0.2", "10.0.0.2, user: -l"),
            "not the name of a user",
            "",
        ),
        (
            with("").replace("name: a}", "name: a, nodes: [{hostname: n}]}"),
            "hosts stand in `cluster.nodes` and in `hosts`",
            "line 4",
        ),
        (
            service("hosts: [node3]"),
            "there is no host `node3`",
            "`node",
        ),
        (service("hosts: []"), "this list names no host", ""),
        (
            service("hosts: [node1, node1]"),
            "`node1` stands here twice",
            "",
        ),
        (
            service("ports: [\"80:80\", \"0.0.0.0:80:81\"]"),
            "by this service already",
            "line 7",
        ),
        (
            service("volumes: [\"/a:/x\", \"/b:/x\"]"),
            "two volumes are mounted at `/x`",
            "",
        ),
        (
            service("image_archive: /tmp/a.tar"),
            "not a path relative to stack.yaml",
            "",
        ),
        (
            service("env: {A B: c}"),
            "not the name of an environment variable",
            "",
        ),
        (
            service("env: {A: \"b\\nc\"}"),
            "`A` has more than one line",
            "mount a file",
        ),
        (
            service("env: {A: \"${secret:a}\"}"),
            "is not a secret reference",
            "",
        ),
        (service("env: {A: [b]}"), "`A` is a list, not a string", ""),
        (service("health: {}"), "`health` names no probe", ""),
        (
            service("health: {http: \"http://web:80/\"}"),
            "`web` is neither an IP address",
            "",
        ),
        (
            service("health: {command: [\"true\"]}"),
            "begins with the absolute path",
            "",
        ),
        (
            service("health: {command: [/bin/x, \"${secret:a:b}\"]}"),
            "hold no secrets",
            "",
        ),
        (
            service("health: {tcp: \"127.0.0.1:1\", interval: 5}"),
            "`5` is not a duration",
            "",
        ),
        (
            service("limits: {cpus: many}"),
            "`many` is not a number of CPUs",
            "",
        ),
        (
            service("instance: foundry-core"),
            "the stack's own secrets",
            "",
        ),
        (service("user: a b"), "`a b` is not a user", ""),
        (
            with_services(&[&format!("name: a, {IMAGE}"), &format!("name: a, {IMAGE}")]),
            "two services are named `a`",
            "line 7",
        ),
        (
            with_services(&[
                &format!("name: a, {IMAGE}, ports: [\"80:1\"]"),
                &format!("name: b, {IMAGE}, hosts: [node2], ports: [\"127.0.0.1:80:2\"]"),
            ]),
            "port 80 of host node2 is published by service a already",
            "line 7",
        ),
        (
            with_services(&["name: a, image: nginx"]),
            "names no registry",
            "docker.io/library/nginx",
        ),
        (
            with_services(&["name: k3s, image: \"quay.io/a/b:1\""]),
            "a part of the stack",
            "",
        ),
        (
            with_services(&["name: true, image: \"quay.io/a/b:1\""]),
            "is true or false",
            "quote it",
        ),
        (
            with("storage: {truenas: {url: ftp://a, api_key: x, pool: p}}\n"),
            "is not a URL",
            "",
        ),
    ];
    for (source, message, hint) in &cases {
        let errors = errors(source);
        let [error] = errors.as_slice() else {
            panic!("more than one error in\n{source}\n{}", told(&errors));
        };
        assert!(
            error.message.contains(message),
            "{source}\n{}",
            told(&errors)
        );
        let given = error.hint.as_deref().unwrap_or_default();
        assert!(given.contains(hint), "{source}\n{}", told(&errors));
    }
}

#[test]
fn one_host_behind_each_port_of_an_address() {
    let source = with("").replace("10.0.0.2", "10.0.0.1, port: 2222");
    assert_eq!(good(&source).stack.hosts.len(), 2);
}

#[test]
fn services_apart_may_publish_one_port() {
    let on = |name: &str, host: &str| {
        format!("name: {name}, {IMAGE}, hosts: [{host}], ports: [\"80:80\"]")
    };
    good(&with_services(&[&on("a", "node1"), &on("b", "node2")]));
}

#[test]
fn an_unreadable_host_does_not_make_others_unknown() {
    let source = with(&format!(
        "services:\n  - {{name: a, {IMAGE}, hosts: [node2]}}\n"
    ));
    let errors = errors(&source.replace("hostname: node2", "hostname: Node2"));
    assert_eq!(errors.len(), 1, "{}", told(&errors));
    let source = source.replace("address: 10.0.0.2", "address: \"-x\"");
    let errors = parse(&source, "x").unwrap_err();
    assert_eq!(errors.len(), 1, "{}", told(&errors));
}

#[test]
fn the_older_form_is_read_with_a_warning() {
    let source = "version: '1'\ncluster:\n  name: a\n  nodes:\n    - {hostname: n1, role: worker}\n    - {hostname: n2, address: 10.0.0.2}\n";
    let Parsed { stack, warnings } = good(source);
    assert_eq!(stack.host("n1").unwrap().address.as_str(), "n1");
    assert_eq!(stack.host("n1").unwrap().role, Some(Role::Worker));
    assert_eq!(stack.host("n2").unwrap().address.as_str(), "10.0.0.2");
    let [warning] = warnings.as_slice() else {
        panic!("{warnings:?}")
    };
    assert_eq!((warning.line, warning.column), (5, 5));
}

#[test]
fn secrets_that_were_written_out_are_warned_of_and_not_shown() {
    let source = with(&format!(
        "services:\n  - {{name: a, {IMAGE}, env: {{DB_PASSWORD: hunter2}}}}\nstorage: {{truenas: {{url: wss://nas/api, api_key: hunter3, pool: tank}}}}\n"
    ));
    let Parsed { stack, warnings } = good(&source);
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    let shown = format!(
        "{stack:?} {warnings:?} {}",
        serde_json::to_string(&stack).unwrap()
    );
    assert!(!shown.contains("hunter"), "{shown}");
    assert!(shown.contains("***"));
}

#[test]
fn anchors_and_merges_are_read() {
    let source = "version: \"1\"\ncluster: {name: a}\nhosts:\n  - &base\n    hostname: node1\n    address: 10.0.0.1\n    user: admin\n  - <<: *base\n    hostname: node2\n    address: 10.0.0.2\n";
    let stack = good(source).stack;
    assert_eq!(stack.host("node2").unwrap().user.as_deref(), Some("admin"));
}
