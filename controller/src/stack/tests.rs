//! What services come to on hosts.

use foundry_proto::Digest;
use foundry_proto::agent::v1 as wire;
use foundry_spec::{Stack, parse};
use prost::Message as _;

use super::{Archive, Desired, StackError, desired, warnings};

fn stack(services: &str) -> Stack {
    let source = format!(
        "version: \"1\"\ncluster: {{name: a, vip: 10.0.0.9}}\nhosts:\n  - {{hostname: node1, address: 10.0.0.1}}\n  - {{hostname: node2, address: 10.0.0.2}}\n{services}"
    );
    parse(&source, "stack.yaml").expect("a valid file").stack
}

fn archive(references: &[&str]) -> Archive {
    Archive {
        path: "./local.tar".to_owned(),
        digest: Digest::of(b"archive"),
        size: 7,
        identities: vec![
            "sha256:b".to_owned(),
            "sha256:a".to_owned(),
            "sha256:b".to_owned(),
        ],
        references: references
            .iter()
            .map(|&reference| reference.to_owned())
            .collect(),
    }
}

fn tasks(desired: &Desired) -> (&wire::Image, &wire::ContainerService) {
    match desired.assignment.tasks.as_slice() {
        [
            wire::Task {
                kind: Some(wire::task::Kind::Image(image)),
                ..
            },
            wire::Task {
                kind: Some(wire::task::Kind::ContainerService(service)),
                ..
            },
        ] => (image, service),
        other => panic!("{other:?}"),
    }
}

const FULL: &str = r#"services:
  - name: whoami
    image: docker.io/traefik/whoami:v1.11
    hosts: [node2]
    ports: ["9090:90", "127.0.0.1:8080:80", "53:53/udp"]
    env: { B: "2", A: hello }
    volumes: ["/srv/b:/b", "cache:/a:ro"]
    command: [--port, 80]
    user: 1000:1000
    limits: { memory: 64Mi, cpus: 0.5 }
    health: { http: "http://127.0.0.1:8080/health", interval: 5s }
"#;

#[test]
fn everything_that_a_service_says_reaches_its_host() {
    let wanted = desired(&stack(FULL), &[]).unwrap();
    let [wanted] = wanted.as_slice() else {
        panic!("{wanted:?}")
    };
    assert_eq!(
        (wanted.host.as_str(), wanted.name.as_str()),
        ("node2", "service/whoami")
    );
    let (image, service) = tasks(wanted);
    assert_eq!(image.reference, "docker.io/traefik/whoami:v1.11");
    assert_eq!(
        image.source,
        Some(wire::image::Source::Pull(wire::Pull::default()))
    );
    let ports: Vec<_> = service
        .ports
        .iter()
        .map(|port| {
            (
                port.host_address.as_str(),
                port.host_port,
                port.protocol.as_str(),
            )
        })
        .collect();
    assert_eq!(
        ports,
        [
            ("", 53, "udp"),
            ("", 9090, "tcp"),
            ("127.0.0.1", 8080, "tcp")
        ]
    );
    let env: Vec<_> = service
        .env
        .iter()
        .map(|variable| variable.name.as_str())
        .collect();
    assert_eq!(env, ["A", "B"]);
    assert_eq!(service.volumes[0].source, "/srv/b");
    assert!(service.volumes[1].read_only);
    assert_eq!(service.command, ["--port", "80"]);
    assert_eq!(service.user, "1000:1000");
    assert_eq!(
        service.limits,
        Some(wire::Limits {
            memory: 64 << 20,
            cpu_millis: 500
        })
    );
    let health = service.health.as_ref().unwrap();
    assert_eq!((health.interval_ms, health.timeout_ms), (5000, 0));
}

#[test]
fn the_digest_covers_exactly_the_bytes() {
    let wanted = desired(&stack(FULL), &[]).unwrap();
    let wanted = &wanted[0];
    assert_eq!(wanted.digest, Digest::of(&wanted.content));
    let read = wire::Assignment::decode(wanted.content.clone()).unwrap();
    assert_eq!(read, wanted.assignment);
}

#[test]
fn what_means_the_same_is_the_same_bytes() {
    let digest = |text: &str| desired(&stack(text), &[]).unwrap()[0].digest;
    let other = FULL
        .replace(
            "\"9090:90\", \"127.0.0.1:8080:80\"",
            "\"127.0.0.1:8080:80\", \"9090:90/tcp\"",
        )
        .replace("{ B: \"2\", A: hello }", "{ A: 'hello', B: 2 }")
        .replace(
            "\"/srv/b:/b\", \"cache:/a:ro\"",
            "\"cache:/a:ro\", \"/srv/b/:/b\"",
        )
        .replace("cpus: 0.5", "cpus: 500m")
        .replace("64Mi", "67108864");
    assert_ne!(other, FULL);
    assert_eq!(digest(&other), digest(FULL));
    for (from, to) in [
        ("A: hello", "A: hallo"),
        ("[--port, 80]", "[80, --port]"),
        ("5s", "6s"),
    ] {
        assert_ne!(digest(&FULL.replace(from, to)), digest(FULL), "{to}");
    }
    let plain = "services: [{name: a, image: \"quay.io/a/b:1\"}]\n";
    let spelt = "services: [{name: a, image: \"quay.io/a/b:1\", limits: {}, env: {}, ports: []}]\n";
    assert_eq!(digest(plain), digest(spelt));
}

const LOCAL: &str = "services:\n  - {name: local, image: \"docker.io/library/local:1\", image_archive: ./local.tar}\n";

#[test]
fn an_archive_travels_by_its_digest_to_all_hosts() {
    let wanted = desired(&stack(LOCAL), &[archive(&["local:1"])]).unwrap();
    let hosts: Vec<_> = wanted.iter().map(|wanted| wanted.host.as_str()).collect();
    assert_eq!(hosts, ["node1", "node2"]);
    assert_eq!(wanted[0].digest, wanted[1].digest);
    let (image, service) = tasks(&wanted[0]);
    let artifact = wire::ArtifactRef {
        digest: Digest::of(b"archive").to_bytes(),
        size: 7,
    };
    assert_eq!(image.source, Some(wire::image::Source::Archive(artifact)));
    assert_eq!(image.identities, ["sha256:a", "sha256:b"]);
    assert_eq!(service.image_identities, image.identities);
    assert!(
        desired(&stack(LOCAL), &[archive(&[])]).is_ok(),
        "it names no image"
    );
}

#[test]
fn archives_that_do_not_fit() {
    let errors = desired(&stack(LOCAL), &[]).unwrap_err();
    assert!(
        matches!(&errors[..], [StackError::MissingArchive { .. }]),
        "{errors:?}"
    );
    assert_eq!(
        errors[0].to_string(),
        "service local: the image archive ./local.tar was not found"
    );
    assert_eq!(errors[0].assignment(), "service/local");
    let errors = desired(&stack(LOCAL), &[archive(&["other:1", "local:2"])]).unwrap_err();
    assert_eq!(
        errors[0].to_string(),
        "service local: the archive ./local.tar holds other:1, local:2, not docker.io/library/local:1"
    );
}

#[test]
fn every_secret_that_cannot_be_resolved_is_named() {
    let services = "services:\n  - name: a\n    image: quay.io/a/b:1\n    env: {P: \"${secret:db:password}\"}\n    command: [\"--token=${secret:api:token}\"]\n  - {name: c, image: \"quay.io/a/b:1\"}\n";
    let errors = desired(&stack(services), &[]).unwrap_err();
    let messages: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        messages,
        [
            "service a: env P refers to ${secret:db:password}",
            "service a: command refers to ${secret:api:token}",
        ]
    );
}

#[test]
fn the_longest_name_of_a_service_fits_an_assignment() {
    let name = "a".repeat(63);
    let services = format!("services: [{{name: {name}, image: \"quay.io/a/b:1\"}}]\n");
    assert!(desired(&stack(&services), &[]).is_ok());
}

#[test]
fn what_this_version_does_not_do_is_said() {
    let declared = "components: {openbao: {}, k3s: {}}\nstorage: {truenas: {url: wss://n/api, api_key: \"${secret:truenas:api_key}\", pool: p}}\n";
    let warnings = warnings(&stack(declared));
    assert_eq!(warnings.len(), 3);
    assert_eq!(
        warnings[0],
        "component openbao is declared; this version of foundry installs services only"
    );
}

#[test]
fn descriptions_of_archives_are_checked() {
    use foundry_proto::operator::v1 as operator;
    let told = operator::Archive {
        path: "./a.tar".to_owned(),
        ..operator::Archive::default()
    };
    let error = Archive::try_from(&told).unwrap_err();
    assert!(error.to_string().contains("./a.tar"));
    let told = operator::Archive {
        digest: Digest::of(b"x").to_bytes(),
        ..told
    };
    assert_eq!(Archive::try_from(&told).unwrap().digest, Digest::of(b"x"));
}
