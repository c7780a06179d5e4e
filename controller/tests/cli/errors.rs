//! How failures look, and by which code they are told apart.

use crate::environment::{Environment, TWO_HOSTS};

const BROKEN: &str = "\
version: \"1\"
cluster:
  name: demo
hosts:
  - hostnam: node1
    address: 192.0.2.1
  - hostname: node2
    address: root@192.0.2.2
";

#[test]
fn usage_errors_end_with_two() {
    let environment = Environment::new();
    environment.foundry("").with(2).says("Usage:");
    let unknown = environment.foundry("stack instal").with(2);
    assert!(unknown.stdout.is_empty(), "{unknown:#?}");
    environment.foundry("--help").with(0).says("Exit codes");
    let json = environment.foundry("-o json stack instal").with(2).error();
    assert_eq!(json["error"]["kind"], "usage");
    assert!(
        json["error"]["hints"][0]
            .as_str()
            .unwrap()
            .contains("install"),
        "{json}"
    );
}

#[test]
fn every_error_of_a_file_is_shown_with_its_place() {
    let environment = Environment::with_stack(BROKEN);
    let ended = environment.foundry("config validate").with(2);
    assert!(ended.stdout.is_empty());
    insta::assert_snapshot!(ended.stderr);
    let json = environment.foundry("status -o json").with(2).error();
    assert_eq!(json["error"]["kind"], "config");
    let lines: Vec<_> = json["error"]["places"].as_array().unwrap().iter().collect();
    assert!(lines.len() >= 2, "{json}");
    assert_eq!(lines[0]["line"], 5);
}

#[test]
fn which_file_is_meant_has_to_be_clear() {
    let environment = Environment::new();
    environment
        .foundry("status")
        .with(2)
        .says("foundry config init");
    environment
        .foundry("status --config gone.yaml")
        .with(2)
        .says("gone.yaml");
    environment.write("stack.yaml", TWO_HOSTS);
    environment.foundry("status").with(3);
    fs_err::create_dir_all(environment.home()).unwrap();
    environment.write("home/stack.yaml", TWO_HOSTS);
    environment.foundry("status").with(2).says("--config FILE");
    environment.foundry("status --config stack.yaml").with(3);
}

#[test]
fn a_file_of_another_fleet_is_refused_with_ways_out() {
    let mut environment = Environment::with_stack(&format!("fleet: elsewhere-1a2b3c\n{TWO_HOSTS}"));
    for command in [
        "status",
        "stack plan",
        "stack install --yes",
        "host bootstrap",
        "events",
    ] {
        let ended = environment.foundry(command).with(2);
        let ended = ended
            .says("elsewhere-1a2b3c")
            .says("controller.at")
            .says("--take-over");
        assert!(ended.says("restore").stdout.is_empty());
    }
    environment.set("FOUNDRY_CONFIG", "stack.yaml");
    environment.foundry("status").with(2);
    assert!(!environment.home().join("fleets").exists());
}

#[test]
fn colours_come_only_where_they_are_wanted() {
    let mut environment = Environment::with_stack(TWO_HOSTS);
    assert!(!environment.foundry("status").stdout.contains('\u{1b}'));
    environment.set("FORCE_COLOR", "1");
    assert!(environment.foundry("status").stdout.contains('\u{1b}'));
    assert!(
        !environment
            .foundry("status --no-color")
            .stdout
            .contains('\u{1b}')
    );
    environment.set("NO_COLOR", "1");
    assert!(!environment.foundry("status").stdout.contains('\u{1b}'));
}

#[test]
fn a_state_that_others_can_write_to_is_refused() {
    let environment = Environment::new();
    environment
        .foundry("config init --name demo --config stack.yaml")
        .with(0);
    let fleets = fs_err::read_dir(environment.home().join("fleets")).unwrap();
    let fleet = fleets.filter_map(Result::ok).next().unwrap().path();
    let open: std::fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    fs_err::set_permissions(&fleet, open).unwrap();
    environment
        .foundry("status --config stack.yaml")
        .with(2)
        .says("chmod");
}
